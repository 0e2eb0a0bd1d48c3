import AttentionLattice
import Cluster
import Dataset
import Evaluation
import Failures
import Foundation
import Images
import Storage
import Tensor

/// The model over a list of images, by the running statistics, cut over ranks and threads. Each image is treated
/// alone, so that no figure depends on batch, thread or world size (model.md 8).

/// What the pass yields for one image.
public struct ImageOutcome: Codable, Sendable {
  public var record: ImageRecord
  /// CE(PB).
  public var loss: Double
  /// α [g·g] as produced.
  public var map: [Float]
  /// p(ŷ) [C].
  public var probabilities: [Float]
}

/// What is measured beside the prediction.
public enum Measures: Sendable {
  /// IoU with the masks, as validation needs it.
  case masks
  /// Masks and boxes.
  case all
}

public struct EvaluationPass {
  private let experiment: Experiment
  private let source: SampleSource
  private let inferences: [Inference]

  public init(_ experiment: Experiment, source: SampleSource) {
    self.experiment = experiment
    self.source = source
    inferences = (0..<experiment.team.threadCount).map { _ in Inference(experiment.model) }
  }

  /// The outcomes of all images, in the order of `ids`, on every rank.
  ///
  /// - Throws: on every rank the same `Failure`, naming an image or mask that cannot be read.
  public func run(_ ids: [Int], _ measures: Measures, log: RunLog, doing: String) throws -> [ImageOutcome] {
    let cluster = experiment.cluster
    let share = (cluster.rank * ids.count / cluster.size)..<((cluster.rank + 1) * ids.count / cluster.size)
    let bytes = try cluster.agree { () -> [UInt8] in
      let own = try outcomes(Array(ids[share]), measures, log: log, doing: doing)
      return Array(try JSONEncoder().encode(own))
    }
    return try cluster.allGather(bytes).flatMap { try JSONDecoder().decode([ImageOutcome].self, from: Data($0)) }
  }

  /// Images between two looks at the progress.
  private static let group = 16

  private func outcomes(
    _ ids: [Int], _ measures: Measures, log: RunLog, doing: String
  ) throws -> [ImageOutcome] {
    var result: [ImageOutcome] = []
    result.reserveCapacity(ids.count)
    let start = Date()
    while result.count < ids.count {
      let first = result.count
      let count = min(Self.group * experiment.team.threadCount, ids.count - first)
      let failures = FailureSlots(count)
      let part = UnsafeMutableBufferPointer<ImageOutcome?>.allocate(capacity: count)
      part.initialize(repeating: nil)
      defer {
        part.deinitialize()
        part.deallocate()
      }
      experiment.team.run(count) { index, thread in
        failures.catching(index) {
          part[index] = try outcome(ids[first + index], measures, thread: thread)
        }
      }
      try failures.throwFirst()
      result += part.compactMap { $0 }
      log.progress(
        result.count, of: ids.count, doing: doing,
        rate: Double(result.count) / max(Date().timeIntervalSince(start), 1e-9), unit: "images")
    }
    return result
  }

  private func outcome(_ id: Int, _ measures: Measures, thread: Int) throws -> ImageOutcome {
    guard let image = experiment.dataset.image(id) else {
      throw Failure.internalError("image \(id) is not in the data set")
    }
    let inference = inferences[thread]
    let input = try source.load(
      image, view: ViewDefinition.evaluationView, thread: thread, patches: inference.patches, tail: inference.tail,
      feature: { inference.feature($0) })
    inference.run(input)
    let probabilities = inference.probabilities()
    var predicted = 0
    for c in probabilities.indices where probabilities[c] > probabilities[predicted] { predicted = c }
    let classes = experiment.dataset.classes
    let g = experiment.model.encoder.grid
    let map = Array(UnsafeBufferPointer(start: inference.alpha, count: g * g))
    guard map.allSatisfy({ $0.isFinite }) else {
      throw Failure.badData("image \(id) (\(image.path)): its map holds values that are not finite")
    }
    var record = ImageRecord(
      imageID: id, label: classes[image.label].id, predicted: classes[predicted].id,
      probability: Double(probabilities[image.label]))
    let truth = try groundTruth(image, measures)
    if truth.mask != nil || truth.box != nil {
      let side = experiment.configuration.image.size
      record.measure(upsampleBilinear(map, grid: g, to: side), side: side, mask: truth.mask, box: truth.box)
    }
    return ImageOutcome(
      record: record, loss: inference.loss(label: image.label), map: map, probabilities: probabilities)
  }

  private func groundTruth(_ image: ImageEntry, _ measures: Measures) throws -> GroundTruth {
    try GroundTruth(image, experiment, withBox: measures == .all)
  }
}

/// The mask [S, S] and box of an image in its evaluation view; nil where it has none.
public struct GroundTruth {
  public let mask: [Bool]?
  /// x0, y0, x1, y1 in the view's pixels, half-open.
  public let box: [Double]?

  public init(_ image: ImageEntry, _ experiment: Experiment, withBox: Bool) throws {
    let maskPath = experiment.dataset.maskPath(of: image)
    guard maskPath != nil || (withBox && image.box != nil) else {
      (mask, box) = (nil, nil)
      return
    }
    let decoded = try decodeImage(path: experiment.dataset.path(of: image))
    let geometry = experiment.views.geometry(
      width: decoded.width, height: decoded.height, seed: 0, imageID: image.id, view: ViewDefinition.evaluationView)
    if let maskPath {
      let levels = try decodeMask(path: maskPath)
      guard levels.width == decoded.width, levels.height == decoded.height else {
        throw Failure.badData(
          "\(maskPath): is \(levels.width) x \(levels.height); its image is \(decoded.width) x \(decoded.height)")
      }
      mask = geometry.render(levels)
    } else {
      mask = nil
    }
    box = withBox
      ? image.box.flatMap { geometry.transform($0, width: decoded.width, height: decoded.height) }
        .map { [$0.x0, $0.y0, $0.x1, $0.y1] } : nil
  }
}
