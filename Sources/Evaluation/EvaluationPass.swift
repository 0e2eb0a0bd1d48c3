import Cluster
import Experiments
import Explaining
import Failures
import Foundation
import Metrics
import Networks

/// What the pass yields for one image.
public struct ImageOutcome: Codable, Sendable {
  public var record: ImageRecord
  /// What validation compares; nil where it is not asked for (`Measures.usesLoss`).
  public var loss: Double?
  /// The method's map [side, side] as produced.
  public var map: PackedFloats
  public var side: Int
  /// p(ŷ) [C].
  public var probabilities: PackedFloats
  /// IoU of the controls' maps by rule; only of images with a mask.
  public var controls: [String: [String: Double]] = [:]
}

/// A method's maps of a list of images, and what is measured on them. Each image is treated alone by the running
/// statistics, so that no figure depends on batch, thread or world size (docs/model.md, "Metrics").
public struct EvaluationPass {
  private let experiment: Experiment
  private let source: SampleSource
  private let workers: [EvaluationWorker]

  /// Makes the method and the controls ready. Call on every rank.
  ///
  /// - Parameters:
  ///   - method: whose maps are measured; nil: the network's own.
  ///   - controls: whose maps' IoU is measured beside them.
  /// - Throws: `Failure` 78 where the model or the settings lack what the method needs.
  public init(
    _ experiment: Experiment, source: SampleSource, method: (any ExplanationMethod)? = nil,
    controls: [Control] = []
  ) throws {
    self.experiment = experiment
    self.source = source
    let subject = ExplainedModel(experiment.model, experiment.configuration) { try experiment.makeModel() }
    let kind = experiment.model.kind
    let makeMain = try (method ?? MethodTable.ownMethod(ofNetwork: kind)).prepare(subject)
    let makeControls = try controls.map { ($0, try MethodTable.method(of: $0, network: kind).prepare(subject)) }
    workers = (0..<experiment.team.threadCount).map { _ in
      let inference = experiment.model.makeInference()
      return EvaluationWorker(
        inference: inference, main: makeMain(inference), controls: makeControls.map { ($0, $1(inference)) })
    }
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
    let own = Array(open[cluster.slice(of: open.count)])
    let work = EvaluationWork(
      own, measures, experiment, source, workers, keep: { try journal?.append([$0]) },
      isInterrupted: { signals?.pending != nil })
    let start = Date()
    var hasMore = true
    while hasMore {
      work.run(until: Date(timeIntervalSinceNow: Cluster.secondsPerRound)) { done in
        log.progress(
          done, of: own.count * work.viewsPerImage, doing: doing,
          rate: Double(done) / max(Date().timeIntervalSince(start), 1e-9),
          unit: work.viewsPerImage == 1 ? "images" : "perturbed views")
      }
      cluster.note(.evaluating)
      let call = cluster.round(failure: work.failure, signal: signals?.pending, flag: !work.isFinished)
      if call == .failure { try cluster.share(work.failure) }
      if call == .signal {
        throw cluster.agreed(.interrupted("interrupted; the images done so far are kept: run the same command again"))
      }
      hasMore = call == .flag
    }
    return try gather(work.outcomes, known, ids)
  }

  private func gather(_ own: [ImageOutcome], _ known: [Int: ImageOutcome], _ ids: [Int]) throws -> [ImageOutcome] {
    let cluster = experiment.cluster
    let bytes = try cluster.agree { Array(try EvaluationJournal.encoder.encode(own)) }
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
