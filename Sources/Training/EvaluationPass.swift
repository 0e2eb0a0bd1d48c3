import AttentionLattice
import Cluster
import Dataset
import Evaluation
import Failures
import Foundation
import Images
import Settings
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
public struct Measures: Sendable {
  public struct Perturbation: Sendable {
    public let steps: Int
    public let substrate: Substrate
    public let followsPrediction: Bool
  }

  public var usesBoxes: Bool
  /// The authors' earlier protocol (reference.md 5) where it differs.
  public var isLab: Bool
  /// Insertion and deletion.
  public var perturbation: Perturbation?

  /// IoU with the masks alone, as validation needs it.
  public static func masks(_ settings: Configuration.Evaluation) -> Measures {
    Measures(usesBoxes: false, isLab: settings.protocol == "lab", perturbation: nil)
  }

  /// Everything that the settings ask for.
  public static func all(_ settings: Configuration.Evaluation) -> Measures {
    var measures = masks(settings)
    measures.usesBoxes = true
    if settings.steps > 0 {
      measures.perturbation = Perturbation(
        steps: settings.steps, substrate: Substrate(rawValue: settings.substrate) ?? .zero,
        followsPrediction: settings.target == "predicted")
    }
    return measures
  }

  func plan(_ map: [Float], _ perturbation: Perturbation) -> PerturbationPlan {
    isLab ? PerturbationPlan(labMap: map) : PerturbationPlan(map: map, steps: perturbation.steps)
  }

  /// The places of the curves' points.
  public var fractions: [Double]? { perturbation.map { plan([0], $0).fractions } }
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
  /// - Parameters:
  ///   - journal: keeps outcomes as they come, and knows those of an interrupted pass.
  ///   - signals: looked at between images, and between the points of a curve.
  /// - Throws: on every rank the same `Failure`, naming an image or mask that cannot be read; 75 after a signal.
  public func run(
    _ ids: [Int], _ measures: Measures, log: RunLog, doing: String, journal: EvaluationJournal? = nil,
    signals: SignalWatch? = nil
  ) throws -> [ImageOutcome] {
    let cluster = experiment.cluster
    let known = journal?.known ?? [:]
    let open = ids.filter { known[$0] == nil }
    let own = Array(open[(cluster.rank * open.count / cluster.size)..<((cluster.rank + 1) * open.count / cluster.size)])
    let group = experiment.team.threadCount * (measures.perturbation == nil ? Self.imagesPerThread : 1)
    let work = views(measures)
    var result: [ImageOutcome] = []
    let start = Date()
    for first in stride(from: 0, to: cluster.maximum(own.count), by: group) {
      let part = own.dropFirst(first).prefix(group)
      result += try cluster.agree {
        let outcomes = try outcomes(Array(part), measures, isStopped: { signals?.pending != nil })
        try journal?.append(outcomes)
        return outcomes
      }
      if cluster.maximum(signals?.pending == nil ? 0 : 1) > 0 {
        throw cluster.agreed(.interrupted("interrupted; the images done so far are kept: run the same command again"))
      }
      log.progress(
        result.count * work.perImage, of: own.count * work.perImage, doing: doing,
        rate: Double(result.count * work.perImage) / max(Date().timeIntervalSince(start), 1e-9), unit: work.unit)
    }
    let bytes = try cluster.agree { Array(try EvaluationJournal.encoder.encode(result)) }
    var byID = known
    for part in cluster.allGather(bytes) {
      for outcome in try EvaluationJournal.decoder.decode([ImageOutcome].self, from: Data(part)) {
        byID[outcome.record.imageID] = outcome
      }
    }
    return try ids.map { id in
      guard let outcome = byID[id] else { throw Failure.internalError("image \(id) has no outcome") }
      return outcome
    }
  }

  /// Images of a thread between two looks at the progress.
  private static let imagesPerThread = 16

  private func views(_ measures: Measures) -> (perImage: Int, unit: String) {
    guard let fractions = measures.fractions else { return (1, "images") }
    return (2 * fractions.count, "perturbed views")
  }

  /// An image's outcome on its way: what its curves need.
  private struct Prepared {
    var outcome: ImageOutcome
    var perturbed: PerturbedViews?
    var plan: PerturbationPlan?
    var target = 0
  }

  /// - Returns: the outcomes; without those that a signal has cut short.
  private func outcomes(_ ids: [Int], _ measures: Measures, isStopped: @escaping () -> Bool) throws -> [ImageOutcome] {
    let prepared = TaskResults<Prepared>(ids.count)
    try prepared.run(experiment.team) { index, thread in try prepare(ids[index], measures, thread: thread) }
    guard measures.perturbation != nil else { return prepared.values.map(\.outcome) }
    // Both curves of every image of the group are in flight at once, so that no thread waits for an image's end.
    let directions = PerturbedViews.Direction.allCases
    let curves = TaskResults<[Double]?>(ids.count * directions.count)
    try curves.run(experiment.team) { index, thread in
      let image = prepared.values[index / directions.count]
      return image.perturbed?.curve(
        directions[index % directions.count], inferences[thread], target: image.target, isStopped: isStopped)
    }
    guard !isStopped() else { return [] }
    return prepared.values.enumerated().map { index, image in
      var outcome = image.outcome
      if let plan = image.plan, let insertion = curves.values[2 * index], let deletion = curves.values[2 * index + 1] {
        outcome.record.measure(plan, insertion: insertion, deletion: deletion)
      }
      return outcome
    }
  }

  private func prepare(_ id: Int, _ measures: Measures, thread: Int) throws -> Prepared {
    guard let image = experiment.dataset.image(id) else {
      throw Failure.internalError("image \(id) is not in the data set")
    }
    let inference = inferences[thread]
    let input = try source.load(
      image, view: ViewDefinition.evaluationView, thread: thread, patches: inference.patches, tail: inference.tail,
      feature: { inference.feature($0) })
    inference.run(input)
    let probabilities = inference.probabilities()
    let scores = measures.isLab ? inference.summedLogits() : probabilities
    let predicted = largest(scores)
    let classes = experiment.dataset.classes
    let g = experiment.model.encoder.grid
    let side = experiment.configuration.image.size
    let map = Array(UnsafeBufferPointer(start: inference.alpha, count: g * g))
    var record = ImageRecord(
      imageID: id, label: classes[image.label].id, predicted: classes[predicted].id,
      probability: Double(probabilities[image.label]))
    record.isFinite = (map + probabilities).allSatisfy(\.isFinite)
    let truth = try GroundTruth(image, experiment, measures)
    (record.maskState, record.maskProblem) = (truth.state, truth.problem)
    var prepared = Prepared(
      outcome: ImageOutcome(
        record: record, loss: inference.loss(label: image.label), map: map, probabilities: probabilities))
    guard record.isFinite else { return prepared }
    let upsampled = upsampleBilinear(map, grid: g, to: side)
    prepared.outcome.record.measure(upsampled, side: side, mask: truth.mask, box: truth.box, isLab: measures.isLab)
    if let perturbation = measures.perturbation {
      let plan = measures.plan(upsampled, perturbation)
      prepared.plan = plan
      prepared.target = perturbation.followsPrediction ? largest(probabilities) : image.label
      prepared.perturbed = PerturbedViews(
        experiment.model.encoder, patches: inference.patches,
        pixels: perturbation.substrate == .blur ? try source.render(image, view: ViewDefinition.evaluationView) : [],
        plan: plan, substrate: perturbation.substrate)
    }
    return prepared
  }

  /// The first of the largest.
  private func largest(_ values: [Float]) -> Int {
    values.indices.reduce(0) { values[$1] > values[$0] ? $1 : $0 }
  }
}

/// The mask [S, S] and box of an image in its evaluation view; nil where it has none that can be used.
public struct GroundTruth {
  public private(set) var mask: [Bool]?
  public private(set) var state = MaskState.absent
  /// What is wrong with the mask, naming it.
  public private(set) var problem: String?
  /// In the view's pixels, half-open.
  public private(set) var box: Box?

  public init(_ image: ImageEntry, _ experiment: Experiment, _ measures: Measures) throws {
    let maskPath = experiment.dataset.maskPath(of: image)
    guard maskPath != nil || (measures.usesBoxes && image.box != nil) else { return }
    let size = try imageSize(path: experiment.dataset.path(of: image))
    let geometry = experiment.views.geometry(
      width: size.width, height: size.height, seed: 0, imageID: image.id, view: ViewDefinition.evaluationView)
    if let maskPath {
      let levels = try decodeMask(path: maskPath)
      if levels.width == size.width, levels.height == size.height {
        let view = measures.isLab ? geometry.renderNonZero(levels) : geometry.render(levels)
        mask = view
        state = view.contains(true) ? .used : .empty
        if state == .empty { problem = "\(maskPath): has no foreground in the view" }
      } else {
        state = .wrongSize
        problem = "\(maskPath): is \(levels.width) x \(levels.height); its image is \(size.width) x \(size.height)"
      }
    }
    if measures.usesBoxes {
      box = image.box.flatMap { geometry.transform($0, width: size.width, height: size.height) }
    }
  }
}
