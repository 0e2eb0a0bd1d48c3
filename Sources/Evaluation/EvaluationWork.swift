import Cluster
import Dataset
import Experiments
import Explaining
import Failures
import Foundation
import Images
import Metrics
import Networks
import Tensor

/// What one thread evaluates with.
struct EvaluationWorker {
  let inference: any NetworkInference
  let main: any MapWorker
  let controls: [(control: Control, worker: any MapWorker)]
}

/// An evaluation's work on this rank, as pieces that any of its threads takes: an image's prediction and map, a part of
/// a map that takes long, or a few points of one of its curves. So no thread waits for an image's end, and what is begun
/// is ended first.
final class EvaluationWork: @unchecked Sendable {
  /// Forward passes of a curve in a piece.
  private static let pointsPerPiece = 4

  let viewsPerImage: Int
  private let measures: Measures
  private let experiment: Experiment
  private let source: SampleSource
  private let workers: [EvaluationWorker]
  private let keep: (ImageOutcome) throws -> Void
  private let isInterrupted: () -> Bool
  private let images: ReadAhead
  private let failures = FirstFailure()

  /// Guards what follows.
  private let condition = NSCondition()
  private var pieces: [Piece] = []
  /// Pieces in hand, of which others may come.
  private var inHand = 0
  private var hasMoreImages: Bool
  private var unfinished: Int
  private var viewsDone = 0
  private var finished: [ImageOutcome] = []

  private enum Piece {
    case part(ImageWork, index: Int)
    case points(ImageWork, Curves, direction: Int, Range<Int>)
  }

  /// - Parameters:
  ///   - ids: the images of this rank.
  ///   - workers: one for each thread of the experiment's team.
  ///   - keep: told of each outcome as it comes, one at a time; what it throws ends the work.
  ///   - isInterrupted: asked before every forward pass of a curve, from any thread.
  init(
    _ ids: [Int], _ measures: Measures, _ experiment: Experiment, _ source: SampleSource, _ workers: [EvaluationWorker],
    keep: @escaping (ImageOutcome) throws -> Void, isInterrupted: @escaping () -> Bool
  ) {
    self.measures = measures
    self.experiment = experiment
    self.source = source
    self.workers = workers
    self.keep = keep
    self.isInterrupted = isInterrupted
    let parts = (workers.first?.main as? any PartwiseWorker)?.mostParts ?? 0
    viewsPerImage = max(1, parts + (measures.fractions.map { 2 * $0.count } ?? 0))
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
      while !isStopped(), work(workers[thread], isStopped: isStopped) {
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
  private func work(_ worker: EvaluationWorker, isStopped: () -> Bool) -> Bool {
    switch begin() {
    case nil: return false
    case .image: beginNext(worker)
    case .piece(.part(let image, let index)): makePart(image, index, worker)
    case .piece(.points(let image, let curves, let direction, let points)):
      follow(image, curves, direction, points, worker, isStopped: isStopped)
    }
    condition.lock()
    inHand -= 1
    condition.broadcast()
    condition.unlock()
    return true
  }

  private func begin() -> Step? {
    condition.lock()
    defer { condition.unlock() }
    while true {
      if !pieces.isEmpty {
        inHand += 1
        return .piece(pieces.removeFirst())
      }
      if hasMoreImages {
        inHand += 1
        return .image
      }
      if inHand == 0 { return nil }
      condition.wait()
    }
  }

  // MARK: An image

  private func beginNext(_ worker: EvaluationWorker) {
    guard let row = images.take() else {
      condition.withLock { hasMoreImages = false }
      return
    }
    defer { images.giveBack(row) }
    do {
      let image = try predict(row, worker.inference)
      if !image.outcome.record.isFinite {
        finish(image)
      } else if let partwise = worker.main as? any PartwiseWorker {
        awaitParts(image, image.parts(wanted: partwise.partsWanted(after: [], of: image.view)))
      } else {
        try measure(image, map: worker.main.map(image.view, target: image.target), worker)
      }
    } catch {
      failures.note(row.number, error)
    }
  }

  private func predict(_ row: SampleRow, _ inference: any NetworkInference) throws -> ImageWork {
    if let failure = row.failure { throw failure }
    let image = try experiment.image(row.request.imageID)
    let input = source.deliver(
      row, patches: inference.patches, tail: inference.tail, feature: { inference.feature($0) })
    inference.run(input)
    let prediction = Prediction(inference, mapSide: experiment.model.mapSide)
    let predicted = measures.rules.sumsLogits ? inference.summedLogits().indexOfLargest : prediction.likeliest
    let classes = experiment.dataset.classes
    var record = ImageRecord(
      imageID: image.id, label: classes[image.label].id, predicted: classes[predicted].id,
      probability: Double(prediction.probabilities[image.label]))
    record.isFinite = prediction.isFinite
    let truth = try GroundTruth(image, experiment, measures)
    (record.maskState, record.maskProblem) = (truth.state, truth.problem)
    record.darkMaskLevels = truth.darkLevels
    let side = experiment.configuration.image.size
    let view = ExplainedView(
      imageID: image.id, pixels: Array(UnsafeBufferPointer(start: row.pixels, count: side * side * 3)),
      prediction: prediction)
    return ImageWork(
      number: row.number, view, truth, target: measures.followsPrediction ? prediction.likeliest : image.label,
      views: viewsPerImage,
      ImageOutcome(
        record: record, loss: measures.usesLoss ? inference.loss(label: image.label, imageID: image.id) : nil,
        map: PackedFloats([]), side: 0,
        probabilities: PackedFloats(prediction.probabilities)))
  }

  // MARK: A map

  private func makePart(_ image: ImageWork, _ index: Int, _ worker: EvaluationWorker) {
    guard let partwise = worker.main as? any PartwiseWorker else { preconditionFailure("parts of a whole map") }
    let part = partwise.part(index, of: image.view, target: image.target)
    let all = condition.withLock {
      count(1, of: image)
      return image.take(part, index)
    }
    guard let all else { return }
    let wanted = partwise.partsWanted(after: all, of: image.view)
    if wanted > all.count { return awaitParts(image, image.parts(wanted: wanted)) }
    do {
      try measure(image, map: partwise.merge(all, of: image.view, target: image.target), worker)
    } catch {
      failures.note(image.number, error)
    }
  }

  private func awaitParts(_ image: ImageWork, _ indices: Range<Int>) {
    condition.withLock { pieces += indices.map { .part(image, index: $0) } }
  }

  /// Measures a map, and makes the pieces of its curves.
  ///
  /// - Throws: `Failure` 70 for a map of another size than its method says.
  private func measure(_ image: ImageWork, map: ExplanationMap, _ worker: EvaluationWorker) throws {
    let side = experiment.configuration.image.size
    try worker.main.check(
      map, sides: experiment.model.encoder.grid...side, image: "image \(image.outcome.record.imageID)")
    image.outcome.map = PackedFloats(map.values)
    image.outcome.record.notes = map.notes.isEmpty ? nil : map.notes
    image.outcome.side = worker.main.side
    image.outcome.record.isFinite = map.isFinite
    for (control, own) in worker.controls where measures.usesControls && image.truth.mask != nil {
      image.outcome.controls[control.rawValue] = measure(control: own, image, side: side)
    }
    guard image.outcome.record.isFinite else { return finish(image) }
    image.outcome.record.measure(raw: map.values)
    let enlarged = enlarged(map.values, side: worker.main.side, to: side)
    image.outcome.record.measure(
      enlarged, side: side, mask: image.truth.mask, box: image.truth.box, by: measures.rules)
    guard let perturbation = measures.perturbation else { return finish(image) }
    let plan = measures.plan(enlarged, perturbation)
    let curves = Curves(
      plan,
      PerturbedViews(
        experiment.model.encoder, pixels: image.view.pixels, plan: plan, substrate: perturbation.substrate))
    condition.withLock {
      for direction in PerturbedViews.Direction.allCases.indices {
        for first in stride(from: 0, to: plan.counts.count, by: Self.pointsPerPiece) {
          let end = min(first + Self.pointsPerPiece, plan.counts.count)
          pieces.append(.points(image, curves, direction: direction, first..<end))
        }
      }
    }
  }

  /// IoU by rule of a control's map; nil where the map is not finite.
  private func measure(control: any MapWorker, _ image: ImageWork, side: Int) -> [String: Double]? {
    let map = control.map(image.view, target: image.target)
    guard map.isFinite else { return nil }
    var record = image.outcome.record
    record.measure(
      enlarged(map.values, side: control.side, to: side), side: side, mask: image.truth.mask, box: nil,
      by: measures.rules)
    return Dictionary(
      uniqueKeysWithValues: Control.rules.compactMap { rule in record.iou(rule).map { (rule.rawValue, $0) } })
  }

  /// With the condition held.
  private func count(_ views: Int, of image: ImageWork) {
    viewsDone += views
    image.viewsLeft -= views
  }

  private func finish(_ image: ImageWork) {
    condition.lock()
    defer { condition.unlock() }
    viewsDone += image.viewsLeft
    do {
      try keep(image.outcome)
      finished.append(image.outcome)
      unfinished -= 1
    } catch {
      failures.note(image.number, error)
    }
  }

  // MARK: A piece of a curve

  private func follow(
    _ image: ImageWork, _ curves: Curves, _ direction: Int, _ points: Range<Int>, _ worker: EvaluationWorker,
    isStopped: () -> Bool
  ) {
    let values = curves.views.values(
      PerturbedViews.Direction.allCases[direction], points: points, worker.inference, target: image.target,
      isStopped: isStopped)
    let end = points.lowerBound + values.count
    let isLast = condition.withLock {
      count(values.count, of: image)
      if end < points.upperBound {
        pieces.insert(.points(image, curves, direction: direction, end..<points.upperBound), at: 0)
      }
      return curves.take(values, direction, from: points.lowerBound)
    }
    guard isLast else { return }
    image.outcome.record.measure(curves.plan, insertion: curves.values[0], deletion: curves.values[1])
    finish(image)
  }
}
