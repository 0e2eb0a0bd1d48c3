import Experiments
import AttentionLattice
import Cluster
import Dataset
import Encoder
import Metrics
import Failures
import Foundation
import Images
import Reporting
import Settings
import Storage
import Tensor

/// A trained model that explains single images (`ala explain`); needs no data set.

/// Where the model looked in one image, and what it took it for.
public struct Explanation: Sendable {
  public let path: String
  /// α [g·g] as produced.
  public let map: [Float]
  public let grid: Int
  /// p(ŷ) [C].
  public let probabilities: [Float]
}

/// An image with its explanation.
public struct ExplainedImage: Sendable {
  public let explanation: Explanation
  public let image: RGBImage
  /// The map in its image; beyond the evaluation view the model saw nothing.
  public let map: PlacedMap
}

public final class Explainer {
  public let classNames: [String]
  public let model: LatticeModel
  private let views: ViewDefinition
  private let inference: Inference

  /// Maps the encoder and loads the weights of a checkpoint, or of a file of weights alone.
  ///
  /// - Throws: `Failure` 66, 65; 78 where the checkpoint was trained with another encoder.
  public init(_ configuration: Configuration, checkpoint given: String, program: String) throws {
    useOneThreadPerProduct()
    let path = checkpointPath(given)
    let attributes = try Checkpoint.attributesIfOurs(path) ?? [:]
    let tensors = try readModelTensors(path, program: program)
    guard let bias = tensors.first(where: { $0.name == "perception.classifier.bias" }) else {
      throw Failure.badData("\(path): tensor perception.classifier.bias is missing")
    }
    let classes = bias.values.count
    classNames = Self.names(attributes["classes"], configuration, count: classes)
    model = try LatticeModel(Experiment.options(configuration, classes: classes), training: false)
    try checkEncoder(attributes, configuration.encoder.weights, path: path)
    try setModel(model.parameters, tensors, path: path)
    views = ViewDefinition(side: configuration.image.size, augmentation: .none)
    inference = Inference(model)
  }

  /// The checkpoint's class names; without a checkpoint the data set's, or numbers.
  private static func names(_ stored: HDF5Attribute?, _ configuration: Configuration, count: Int) -> [String] {
    struct Stored: Decodable { let name: String }
    if case .text(let json)? = stored, let classes = try? JSONDecoder().decode([Stored].self, from: Data(json.utf8)),
      classes.count == count
    {
      return classes.map(\.name)
    }
    let data = configuration.data
    var options = DatasetOptions(root: data.root, classes: data.classes)
    options.looksAtFiles = false
    if let dataset = try? ImageDataset(options),
      dataset.classes.count == count
    {
      return dataset.classes.map(\.name)
    }
    return (1...max(count, 1)).map { "class \($0)" }
  }

  /// - Throws: `Failure` 66 or 65, naming the file; 65 where the map is not finite.
  public func explain(_ path: String) throws -> ExplainedImage {
    let image = try decodeImage(path: path)
    let geometry = views.geometry(
      width: image.width, height: image.height, seed: 0, imageID: 0, view: ViewDefinition.evaluationView)
    geometry.render(image).withUnsafeBufferPointer { pixels in
      if let base = pixels.baseAddress { model.encoder.patchify(inference.patches, pixels: base) }
    }
    inference.run()
    let g = model.encoder.grid
    let map = Array(UnsafeBufferPointer(start: inference.alpha, count: g * g))
    let probabilities = inference.probabilities()
    guard (map + probabilities).allSatisfy(\.isFinite) else {
      throw Failure.badData("\(path): the model's map or probabilities are not finite for this image")
    }
    return ExplainedImage(
      explanation: Explanation(path: path, map: map, grid: g, probabilities: probabilities), image: image,
      map: PlacedMap(map, grid: g, geometry: geometry, width: image.width, height: image.height))
  }
}
