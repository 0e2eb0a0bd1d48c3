import Failures
import Foundation

/// Where a run stands, beside its tensors: all that a checkpoint needs to go on with the same bits.
public struct TrainingState: Codable, Equatable, Sendable {
  /// The epoch, from 1, of the last update; 1 before any.
  public var epoch = 1
  /// Updates made, refused ones among them.
  public var step = 0
  /// Batches of `epoch` that are done.
  public var batchInEpoch = 0
  /// Sums over the samples of `epoch` so far.
  public var lossSum = 0.0
  public var correct = 0
  public var samples = 0
  /// Refused updates in a row.
  public var skipped = 0
  public var best: Best?
  /// Validations since the best one.
  public var validationsWithoutBetter = 0
  public var isStoppedEarly = false

  /// The best validation so far.
  public struct Best: Codable, Equatable, Sendable {
    public var epoch: Int
    public var step: Int
    public var accuracy: Double
    /// CE(PB); infinite where it was not finite, so that any other is better.
    public var loss: Double
    public var iou: Double?
  }

  public init() {}

  /// Goes over to the next epoch.
  mutating func beginNextEpoch() {
    epoch += 1
    batchInEpoch = 0
    (lossSum, correct, samples) = (0, 0, 0)
  }

  /// Counts a step that has been made, or refused.
  mutating func note(_ result: TrainingStep.Result, samples count: Int) {
    skipped = result.isUpdated ? 0 : skipped + 1
    step += 1
    batchInEpoch += 1
    guard result.outcome.loss.isFinite else { return }
    lossSum += result.outcome.loss * Double(count)
    correct += result.outcome.correct
    samples += count
  }

  /// Strictly higher by the chosen figure, ties by a lower loss; or by the loss alone.
  func isBetter(_ candidate: Best, select: String) -> Bool {
    guard let best else { return true }
    if select == "loss" { return candidate.loss < best.loss }
    let (new, old) = select == "iou" ? (candidate.iou ?? 0, best.iou ?? 0) : (candidate.accuracy, best.accuracy)
    return new > old || (new == old && candidate.loss < best.loss)
  }

  /// Makes sure that a run can stand here. The digest of a file tells nothing of who has made it.
  ///
  /// - Parameters:
  ///   - epochs, batch: the run's settings; at least 1.
  ///   - images: to train on; at least 1.
  ///   - path: the checkpoint's.
  /// - Throws: `Failure` 65 naming the field, what was found and what was expected.
  func check(epochs: Int, batch: Int, images: Int, path: String) throws {
    func require(_ field: String, _ found: Int, in expected: ClosedRange<Int>) throws {
      guard !expected.contains(found) else { return }
      let (low, high) = (expected.lowerBound, expected.upperBound)
      throw Failure.badData(
        "\(path): its attribute progress has \(field) \(found); expected \(low == high ? "\(low)" : "\(low) to \(high)")"
          + " (of \(epochs) epochs, \(images) training images, batches of \(batch)): it was changed, or is of other images"
      )
    }
    let batches = (images + batch - 1) / batch
    try require("epoch", epoch, in: 1...epochs)
    try require("batchInEpoch", batchInEpoch, in: 0...batches)
    let made = (epoch - 1) * batches + batchInEpoch
    try require("step", step, in: made...made)
    try require("samples", samples, in: 0...min(batchInEpoch * batch, images))
    try require("correct", correct, in: 0...samples)
    try require("skipped", skipped, in: 0...step)
    try require("validationsWithoutBetter", validationsWithoutBetter, in: 0...epoch)
    guard let best else { return }
    try require("best.epoch", best.epoch, in: 1...epoch)
    try require("best.step", best.step, in: 0...step)
  }

  /// JSON has no word for them, and a validation loss may be one.
  private static let notFinite = JSONEncoder.NonConformingFloatEncodingStrategy.convertToString(
    positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")

  var json: String {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = Self.notFinite
    encoder.outputFormatting = [.sortedKeys]
    return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }

  init(json: String, path: String) throws {
    do {
      let decoder = JSONDecoder()
      decoder.nonConformingFloatDecodingStrategy = .convertFromString(
        positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
      self = try decoder.decode(TrainingState.self, from: Data(json.utf8))
    } catch {
      throw Failure.badData("\(path): its attribute progress cannot be read")
    }
  }
}
