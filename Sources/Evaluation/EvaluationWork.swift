import Experiments
import AttentionLattice
import Cluster
import Dataset
import Metrics
import Failures
import Foundation
import Images
import Tensor

/// One rank's part of an evaluation, cut into pieces so small that all of its threads are busy to the end: an image's
/// prediction and map, then each of its curves a few points at a time, with later images following before earlier
/// ones are done. What a piece yields does not depend on the others.
final class EvaluationWork: @unchecked Sendable {
  /// Points of a curve that a thread takes at once: enough to make composing the first of them cheap.
  private static let pointsPerPiece = 16

  /// Forward passes that an image counts for in the progress.
  let viewsPerImage: Int

  private let measures: Measures
  private let experiment: Experiment
  private let source: SampleSource
  private let inferences: [Inference]
  private let keep: (ImageOutcome) throws -> Void
  private let isInterrupted: () -> Bool
  private let images: ReadAhead
  private let failures = FirstFailure()

  /// Guards what follows.
  private let condition = NSCondition()
  private var pieces: [Piece] = []
  /// Images being predicted, of which pieces will come.
  private var preparing = 0
  private var hasMoreImages: Bool
  private var unfinished: Int
  private var viewsDone = 0
  private var finished: [ImageOutcome] = []

  /// An image whose curves are on their way.
  private final class Curves {
    let index: Int
    let outcome: ImageOutcome
    let views: PerturbedViews
    let plan: PerturbationPlan
    let target: Int
    /// By direction, then by point.
    var values: [[Double]]
    var missing: Int

    init(index: Int, _ outcome: ImageOutcome, _ views: PerturbedViews, _ plan: PerturbationPlan, target: Int) {
      self.index = index
      self.outcome = outcome
      self.views = views
      self.plan = plan
      self.target = target
      let directions = PerturbedViews.Direction.allCases.count
      values = Array(repeating: Array(repeating: 0, count: plan.counts.count), count: directions)
      missing = directions * plan.counts.count
    }
  }

  private struct Piece {
    let curves: Curves
    let direction: Int
    var points: Range<Int>
  }

  /// - Parameters:
  ///   - ids: the images of this rank.
  ///   - inferences: one for each thread of the experiment's team.
  ///   - keep: told of each outcome as it comes, one at a time; what it throws ends the work.
  ///   - isInterrupted: asked before every forward pass of a curve, from any thread.
  init(
    _ ids: [Int], _ measures: Measures, _ experiment: Experiment, _ source: SampleSource, _ inferences: [Inference],
    keep: @escaping (ImageOutcome) throws -> Void, isInterrupted: @escaping () -> Bool
  ) {
    self.measures = measures
    self.experiment = experiment
    self.source = source
    self.inferences = inferences
    self.keep = keep
    self.isInterrupted = isInterrupted
    viewsPerImage = measures.fractions.map { 2 * $0.count } ?? 1
    hasMoreImages = !ids.isEmpty
    unfinished = ids.count
    var left = ids[...]
    let threads = source.isCached ? 1 : max(1, experiment.team.threadCount / 2)
    images = ReadAhead(source, rows: experiment.team.threadCount + threads, threads: threads) {
      left.popFirst().map { SampleRequest(imageID: $0, view: ViewDefinition.evaluationView) }
    }
  }

  /// What is done; in no particular order.
  var outcomes: [ImageOutcome] { condition.withLock { finished } }
  var isFinished: Bool { condition.withLock { unfinished == 0 } }
  /// What the first image that failed has met.
  var failure: Failure? { failures.failure }

  /// Works on all threads until nothing is left, a failure, an interruption, or a moment.
  ///
  /// - Parameter progress: told now and then, on the calling thread, how many views are done.
  func run(until deadline: Date, progress: (Int) -> Void) {
    let isStopped = { [self] in
      isInterrupted() || Date() >= deadline || failures.failure != nil
    }
    var shown = condition.withLock { viewsDone }
    func show() {
      let done = condition.withLock { viewsDone }
      guard done > shown else { return }
      shown = done
      progress(done)
    }
    experiment.team.run(experiment.team.threadCount) { _, thread in
      while !isStopped(), work(inferences[thread], isStopped: isStopped) {
        if thread == 0 { show() }
      }
    }
    show()
  }

  private enum Step {
    case image
    case piece(Piece)
  }

  /// Does one piece of work; false where none is left.
  private func work(_ inference: Inference, isStopped: () -> Bool) -> Bool {
    switch begin() {
    case nil: return false
    case .image: predictNext(inference)
    case .piece(let piece): follow(piece, inference, isStopped: isStopped)
    }
    return true
  }

  private func begin() -> Step? {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if !pieces.isEmpty { return .piece(pieces.removeFirst()) }
      if hasMoreImages {
        preparing += 1
        return .image
      }
      if preparing == 0 { return nil }
      condition.wait()
    }
  }

  // MARK: An image

  private func predictNext(_ inference: Inference) {
    let row = images.take()
    var curves: Curves?
    var outcome: ImageOutcome?
    if let row {
      do {
        (outcome, curves) = try predict(row, inference)
      } catch {
        failures.note(row.number, error)
      }
    }
    condition.lock()
    preparing -= 1
    if row == nil { hasMoreImages = false }
    if let curves {
      for direction in curves.values.indices {
        for first in stride(from: 0, to: curves.plan.counts.count, by: Self.pointsPerPiece) {
          let end = min(first + Self.pointsPerPiece, curves.plan.counts.count)
          pieces.append(Piece(curves: curves, direction: direction, points: first..<end))
        }
      }
    } else if let outcome, let row {
      viewsDone += viewsPerImage
      finish(row.number, outcome)
    }
    condition.broadcast()
    condition.unlock()
    if let row { images.giveBack(row) }
  }

  /// With the condition held.
  private func finish(_ index: Int, _ outcome: ImageOutcome) {
    do {
      try keep(outcome)
      finished.append(outcome)
      unfinished -= 1
    } catch {
      failures.note(index, error)
    }
  }

  /// - Returns: the outcome, and what its curves need where they are measured.
  private func predict(_ row: SampleRow, _ inference: Inference) throws -> (ImageOutcome, Curves?) {
    if let failure = row.failure { throw failure }
    let image = try experiment.image(row.request.imageID)
    let input = source.deliver(
      row, patches: inference.patches, tail: inference.tail, feature: { inference.feature($0) })
    inference.run(input)
    let probabilities = inference.probabilities()
    let scores = measures.isLab ? inference.summedLogits() : probabilities
    let predicted = largest(scores)
    let classes = experiment.dataset.classes
    let g = experiment.model.encoder.grid
    let side = experiment.configuration.image.size
    let map = Array(UnsafeBufferPointer(start: inference.alpha, count: g * g))
    var record = ImageRecord(
      imageID: image.id, label: classes[image.label].id, predicted: classes[predicted].id,
      probability: Double(probabilities[image.label]))
    record.isFinite = (map + probabilities).allSatisfy(\.isFinite)
    let truth = try GroundTruth(image, experiment, measures)
    (record.maskState, record.maskProblem) = (truth.state, truth.problem)
    record.darkMaskLevels = truth.darkLevels
    var outcome = ImageOutcome(
      record: record, loss: inference.loss(label: image.label), map: map, probabilities: probabilities)
    guard record.isFinite else { return (outcome, nil) }
    let upsampled = upsampleBilinear(map, grid: g, to: side)
    outcome.record.measure(upsampled, side: side, mask: truth.mask, box: truth.box, isLab: measures.isLab)
    guard let perturbation = measures.perturbation else { return (outcome, nil) }
    let plan = measures.plan(upsampled, perturbation)
    let views = PerturbedViews(
      experiment.model.encoder, patches: inference.patches,
      pixels: Array(UnsafeBufferPointer(start: row.pixels, count: side * side * 3)), plan: plan,
      substrate: perturbation.substrate)
    let target = perturbation.followsPrediction ? largest(probabilities) : image.label
    return (outcome, Curves(index: row.number, outcome, views, plan, target: target))
  }

  /// The first of the largest.
  private func largest(_ values: [Float]) -> Int {
    values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
  }

  // MARK: A piece of a curve

  private func follow(_ piece: Piece, _ inference: Inference, isStopped: () -> Bool) {
    let curves = piece.curves
    let values = curves.views.values(
      PerturbedViews.Direction.allCases[piece.direction], points: piece.points, inference, target: curves.target,
      isStopped: isStopped)
    condition.lock()
    defer { condition.unlock() }
    let end = piece.points.lowerBound + values.count
    curves.values[piece.direction].replaceSubrange(piece.points.lowerBound..<end, with: values)
    curves.missing -= values.count
    viewsDone += values.count
    if end < piece.points.upperBound {
      pieces.insert(
        Piece(curves: curves, direction: piece.direction, points: end..<piece.points.upperBound), at: 0)
    }
    guard curves.missing == 0 else { return }
    var outcome = curves.outcome
    outcome.record.measure(curves.plan, insertion: curves.values[0], deletion: curves.values[1])
    finish(curves.index, outcome)
  }
}
