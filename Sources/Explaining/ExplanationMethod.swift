import Encoder
import Failures
import Networks
import Settings

/// What is known of an explanation method before it is run.
public struct MethodFacts: Sendable {
  /// As `--method` takes it.
  public let name: String
  /// As figures and tables show it.
  public let title: String
  /// Where it comes from; nil for a control.
  public let source: String?
  public let needsGradients: Bool
  /// Whether its maps depend on `run.seed` beside the model.
  public let isRandom: Bool
  /// Whether its maps depend on the trained weights.
  public let readsModel: Bool
  /// From 1; a higher one makes evaluations of before stale, and is due whenever the maps change.
  public let version: Int

  public init(
    name: String, title: String, source: String?, needsGradients: Bool = false, isRandom: Bool = false,
    readsModel: Bool = true, version: Int = 1
  ) {
    self.name = name
    self.title = title
    self.source = source
    self.needsGradients = needsGradients
    self.isRandom = isRandom
    self.readsModel = readsModel
    self.version = version
  }

  /// What an evaluation by the method is known again by.
  public var identity: String { version == 1 ? name : "\(name), version \(version)" }
}

/// A way to say which parts of an image a model's prediction rests on. A method is one file beside this one, and a line
/// in `MethodTable`; `evaluate`, `explain` and the controls take all methods from there.
public protocol ExplanationMethod: Sendable {
  var facts: MethodFacts { get }

  /// Forward passes that an image's map takes, beside the one that predicts its class.
  func passes(_ configuration: Configuration) -> Int

  /// What its maps depend on beside the model and `run.seed`; stands in `summary.json`.
  func settings(_ configuration: Configuration) -> [String: String]

  /// - Throws: `Failure` 78 for a network that lacks what the method needs.
  func check(_ network: any Network) throws

  /// Makes ready what all threads share. Called on every rank alike.
  ///
  /// - Returns: makes a thread's worker. The worker may leave anything in the inference that it is given.
  /// - Throws: `Failure` 78 as `check`, and where the settings lack what the method needs.
  func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker
}

extension ExplanationMethod {
  public func passes(_ configuration: Configuration) -> Int { 0 }
  public func settings(_ configuration: Configuration) -> [String: String] { [:] }
  public func check(_ network: any Network) throws {}

  /// - Throws: `Failure` 78 for a network of another kind.
  func require(_ kind: String, _ network: any Network) throws {
    guard network.kind == kind else {
      throw Failure.badConfiguration(
        "method \(facts.name) explains a network of kind \(kind); this one is of kind \(network.kind) (model.kind)")
    }
  }
}

/// The model whose predictions are explained.
public struct ExplainedModel {
  public let network: any Network
  public let configuration: Configuration
  /// Makes another network of the same settings over the same encoder, without values in its trained tensors. Call on
  /// every rank.
  public let makeAnother: () throws -> any Network

  public init(
    _ network: any Network, _ configuration: Configuration, makeAnother: @escaping () throws -> any Network
  ) {
    self.network = network
    self.configuration = configuration
    self.makeAnother = makeAnother
  }
}

/// One thread's maker of maps.
public protocol MapWorker: AnyObject {
  /// The side of its maps: g, S, or anything between.
  var side: Int { get }

  /// A map [side, side] as produced, larger where a pixel matters more; a pure function of view and target.
  ///
  /// - Parameter target: the class, from 0, that is explained.
  func map(_ view: ExplainedView, target: Int) -> ExplanationMap
}

extension MapWorker {
  /// Makes sure that a map of this worker is of its side, and the side one that can be enlarged.
  ///
  /// - Parameter sides: from the grid to the image.
  /// - Throws: `Failure` 70: the method does not keep its promise.
  public func check(_ map: ExplanationMap, sides: ClosedRange<Int>, image: String) throws {
    guard sides.contains(side) else {
      throw Failure.internalError(
        "\(image): the explanation method's maps have side \(side); expected \(sides.lowerBound) to \(sides.upperBound)"
      )
    }
    guard map.values.count == side * side else {
      throw Failure.internalError(
        "\(image): the explanation method's map has \(map.values.count) values; expected \(side * side), of side \(side)"
      )
    }
  }
}

/// A method's map of one image.
public struct ExplanationMap: Sendable {
  /// [side, side], as produced.
  public let values: [Float]
  /// What the method says of its work, under the keys of `FigureTable`.
  public let notes: [String: Double]

  public init(_ values: [Float], notes: [String: Double] = [:]) {
    self.values = values
    self.notes = notes
  }

  public var isFinite: Bool { values.allSatisfy(\.isFinite) }
}

/// A worker whose maps take long: parts of a map are made by any threads, each with a worker of its own, and merged in
/// their order by one of them, so that no bit depends on who made what.
public protocol PartwiseWorker: MapWorker {
  /// The most that a map takes.
  var mostParts: Int { get }

  /// How many parts a map takes, as far as those that are done tell; asked first with none, then whenever so many are
  /// there, until it says no more.
  func partsWanted(after done: [[Float]], of view: ExplainedView) -> Int

  /// A part, of a second at most.
  ///
  /// - Parameter index: from 0.
  func part(_ index: Int, of view: ExplainedView, target: Int) -> [Float]

  /// The map of all parts, by index.
  func merge(_ parts: [[Float]], of view: ExplainedView, target: Int) -> ExplanationMap
}

extension PartwiseWorker {
  public func partsWanted(after done: [[Float]], of view: ExplainedView) -> Int { mostParts }

  public func map(_ view: ExplainedView, target: Int) -> ExplanationMap {
    var parts: [[Float]] = []
    while case let wanted = partsWanted(after: parts, of: view), wanted > parts.count {
      parts += (parts.count..<wanted).map { part($0, of: view, target: target) }
    }
    return merge(parts, of: view, target: target)
  }
}

/// The evaluation view of an image, and what the model makes of it.
public struct ExplainedView: Sendable {
  /// The data set's id; of files without one, their place in the list.
  public let imageID: Int
  /// [S, S, 3].
  public let pixels: [UInt8]
  public let prediction: Prediction

  public init(imageID: Int, pixels: [UInt8], prediction: Prediction) {
    self.imageID = imageID
    self.pixels = pixels
    self.prediction = prediction
  }
}

/// What one forward pass of the model yields.
public struct Prediction: Sendable {
  /// p(ŷ) [C].
  public let probabilities: [Float]
  /// The map that the network itself makes, of `Network.mapSide`; nil where it makes none.
  public let map: [Float]?

  public init(probabilities: [Float], map: [Float]?) {
    self.probabilities = probabilities
    self.map = map
  }

  /// What the inference's last pass has left.
  ///
  /// - Parameter side: the network's `mapSide`.
  public init(_ inference: any NetworkInference, mapSide side: Int?) {
    probabilities = inference.probabilities()
    map = side.flatMap { side in
      inference.map.map { Array(UnsafeBufferPointer(start: $0, count: side * side)) }
    }
  }

  /// The likeliest class, the first among equals.
  public var likeliest: Int { probabilities.indexOfLargest }

  public var isFinite: Bool { ((map ?? []) + probabilities).allSatisfy(\.isFinite) }
}

extension [Float] {
  /// The first of the largest; 0 of an empty list.
  public var indexOfLargest: Int { indices.reduce(0) { self[$1] > self[$0] ? $1 : $0 } }
}

extension NetworkInference {
  /// Runs the network over a view [S, S, 3].
  public func run(pixels: [UInt8], _ encoder: ImageEncoder) {
    pixels.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { encoder.patchify(patches, pixels: base) }
    }
    run(.pixels)
  }
}
