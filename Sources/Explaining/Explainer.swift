import Dataset
import Encoder
import Experiments
import Failures
import Foundation
import Images
import Machine
import Networks
import Reporting
import Settings
import Storage
import Tensor

/// A trained model that explains single images (`ala explain`); needs no data set.
public final class Explainer {
  public let classNames: [String]
  private let model: any Network
  private let views: ViewDefinition
  private let inference: any NetworkInference
  private let worker: any MapWorker

  /// Maps the encoder and loads the weights of a checkpoint, or of a file of weights alone.
  ///
  /// - Throws: `Failure` 66, 65; 78 where the checkpoint was trained with another encoder.
  public init(
    _ configuration: Configuration, checkpoint given: String, method: any ExplanationMethod, program: String
  ) throws {
    try secureProducts(
      by: ProductLibrary(setting: configuration.run.products), threads: 1,
      limit: MemoryLimit.ofAddressSpace()?.description)
    let path = try givenCheckpoint(given)
    let attributes = try storedAttributes(path)
    try checkNetwork(attributes, configuration, path: path)
    try requireThere(configuration.encoder.weights, "encoder.weights", "is missing")
    let encoder = try EncoderFile(encoderOptions(configuration))
    var made: (any Network)?
    let tensors = try readModelTensors(path, program: program) { listed in
      let classes = try classCount(attributes, listed, path: path)
      let model = try makeNetwork(configuration, classes: classes, on: encoder, training: false)
      try checkExplained(attributes, model.explains, path: path)
      try checkEncoder(attributes, model.encoder.file, path: path)
      try checkModel(model.parameters, lists: listed, path: path)
      made = model
    }
    guard let made else { throw Failure.internalError("\(path): was read before it was looked at") }
    model = made
    let classes = model.classes
    classNames = Self.names(attributes["classes"], configuration, count: classes)
    try setModel(model.parameters, tensors, path: path)
    views = ViewDefinition(side: configuration.image.size, augmentation: .none)
    inference = model.makeInference()
    let subject = ExplainedModel(model, configuration) {
      try makeNetwork(configuration, classes: classes, on: encoder, training: false)
    }
    worker = try method.prepare(subject)(inference)
  }

  /// The checkpoint's class names; without a checkpoint the data set's, or numbers.
  private static func names(_ stored: HDF5Attribute?, _ configuration: Configuration, count: Int) -> [String] {
    if let classes = StoredClass.list(stored), classes.count == count { return classes.map(\.name) }
    var options = DatasetOptions(configuration.data)
    options.looksAtFiles = false
    if let dataset = try? ImageDataset(options),
      dataset.classes.count == count
    {
      return dataset.classes.map(\.name)
    }
    return (1...max(count, 1)).map { "class \($0)" }
  }

  /// Explains the likeliest class of an image.
  ///
  /// - Parameter number: the image's place among those that are explained, from 0.
  /// - Throws: `Failure` 66 or 65, naming the file; 65 where the map is not finite.
  public func explain(_ path: String, number: Int) throws -> ExplainedImage {
    let image = try decodeImage(path: path)
    let geometry = views.geometry(
      width: image.width, height: image.height, seed: 0, imageID: 0, view: ViewDefinition.evaluationView)
    let pixels = geometry.render(image)
    inference.run(pixels: pixels, model.encoder)
    let prediction = Prediction(inference, mapSide: model.mapSide)
    let view = ExplainedView(imageID: number, pixels: pixels, prediction: prediction)
    guard prediction.isFinite else {
      throw Failure.badData("\(path): the model's map or probabilities are not finite for this image")
    }
    let map = worker.map(view, target: prediction.likeliest)
    try worker.check(map, sides: model.encoder.grid...(model.encoder.grid * model.encoder.patch), image: path)
    guard map.isFinite else {
      throw Failure.badData("\(path): the explanation method's map is not finite for this image")
    }
    return ExplainedImage(
      explanation: Explanation(
        path: path, map: map.values, side: worker.side, probabilities: prediction.probabilities), image: image,
      map: PlacedMap(map.values, side: worker.side, geometry: geometry, width: image.width, height: image.height))
  }
}
