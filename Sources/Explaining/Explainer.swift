import Experiments
import AttentionLattice
import Cluster
import Dataset
import Encoder
import Metrics
import Failures
import Foundation
import Images
import Settings
import Storage
import Tensor

/// A trained model that explains single images (`ala explain`); needs no data set.

/// Where the model looked in one image, and what it took it for.
public struct Explanation: Sendable {
  public let path: String
  public let image: RGBImage
  /// The evaluation view's place in the image; beyond it the model saw nothing.
  public let geometry: ViewGeometry
  /// α [g·g] as produced.
  public let map: [Float]
  public let grid: Int
  /// p(ŷ) [C].
  public let probabilities: [Float]

  /// The map at the image's own size, bilinear with half-pixel centres; nil where the model saw nothing.
  public func mapAtSource() -> [Float?] {
    let (across, down) = (
      taps(image.width, geometry.scaledWidth, geometry.cropX), taps(image.height, geometry.scaledHeight, geometry.cropY)
    )
    var result = [Float?](repeating: nil, count: image.width * image.height)
    for (y, vertical) in down.enumerated() {
      guard let vertical else { continue }
      for (x, horizontal) in across.enumerated() {
        guard let horizontal else { continue }
        func along(_ row: Int) -> Float {
          let a = map[row * grid + horizontal.low]
          return a + horizontal.weight * (map[row * grid + horizontal.high] - a)
        }
        let top = along(vertical.low)
        result[y * image.width + x] = top + vertical.weight * (along(vertical.high) - top)
      }
    }
    return result
  }

  /// For each position of the image, the grid cells that it lies between.
  private func taps(_ count: Int, _ scaled: Int, _ crop: Int) -> [(low: Int, high: Int, weight: Float)?] {
    (0..<count).map { position in
      let view = (Double(position) + 0.5) * Double(scaled) / Double(count) - Double(crop)
      guard view >= 0, view < Double(geometry.side) else { return nil }
      let place = max(view * Double(grid) / Double(geometry.side) - 0.5, 0)
      let low = min(Int(place), grid - 1)
      return (low, min(low + 1, grid - 1), Float(place - Double(low)))
    }
  }
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
    try checkEncoder(attributes, model.encoder.file, path: path)
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
    if let dataset = try? ImageDataset(root: data.root, classes: data.classes, checksImages: false),
      dataset.classes.count == count
    {
      return dataset.classes.map(\.name)
    }
    return (1...max(count, 1)).map { "class \($0)" }
  }

  /// - Throws: `Failure` 66 or 65, naming the file; 65 where the map is not finite.
  public func explain(_ path: String) throws -> Explanation {
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
    return Explanation(
      path: path, image: image, geometry: geometry, map: map, grid: g, probabilities: probabilities)
  }
}
