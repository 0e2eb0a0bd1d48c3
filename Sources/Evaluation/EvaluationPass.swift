import Experiments
import AttentionLattice
import Cluster
import Dataset
import Metrics
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

  /// How often ranks tell each other of failures and signals.
  private static let secondsPerRound = 10.0

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
    let work = EvaluationWork(
      own, measures, experiment, source, inferences, keep: { try journal?.append([$0]) },
      isInterrupted: { signals?.pending != nil })
    let start = Date()
    var hasMore = true
    while hasMore {
      work.run(until: Date(timeIntervalSinceNow: Self.secondsPerRound)) { done in
        log.progress(
          done, of: own.count * work.viewsPerImage, doing: doing,
          rate: Double(done) / max(Date().timeIntervalSince(start), 1e-9),
          unit: measures.perturbation == nil ? "images" : "perturbed views")
      }
      let call = cluster.maximum(
        (work.failure != nil ? 4 : 0) | (signals?.pending != nil ? 2 : 0) | (work.isFinished ? 0 : 1))
      if call >= 4 { try cluster.share(work.failure) }
      if call >= 2 {
        throw cluster.agreed(.interrupted("interrupted; the images done so far are kept: run the same command again"))
      }
      hasMore = call > 0
    }
    let bytes = try cluster.agree { Array(try EvaluationJournal.encoder.encode(work.outcomes)) }
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
}
