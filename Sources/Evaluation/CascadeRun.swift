import Cluster
import Experiments
import Explaining
import Failures
import Files
import Foundation
import Metrics

/// The cascade of parameter randomisation over some of the images that are evaluated.
struct CascadeRun {
  let imageIDs: [Int]
  let stages: [String]
  /// ρ by stage, then by image; nil where one of the two maps is constant or not finite.
  let values: [[Double?]]
  let summary: CascadeSummary
  private let journals: [EvaluationJournal]
  /// What journals' names begin with.
  private static let journalMark = ".unfinished-"

  /// Runs stage by stage; goes on where an interrupted call was. Call on every rank.
  ///
  /// - Parameters:
  ///   - count: images, a fixed random subset of `trained`.
  ///   - trained: the outcomes of the trained model.
  ///   - identity: of everything that an outcome depends on beside the stage.
  init(
    _ experiment: Experiment, _ request: EvaluationRequest, count: Int, trained: [ImageOutcome], identity: String,
    log: RunLog, signals: SignalWatch
  ) throws {
    let cluster = experiment.cluster
    let all = trained.map(\.record.imageID)
    let chosen = EvaluationRequest.choose(all, limit: count, seed: request.limitSeed)
    let maps = Dictionary(uniqueKeysWithValues: trained.map { ($0.record.imageID, $0) })
    imageIDs = chosen.ids
    let subject = ExplainedModel(experiment.model, experiment.configuration) { try experiment.makeModel() }
    let cascade = try cluster.agree { try RandomisationCascade(request.method, of: subject) }
    stages = cascade.stages
    var (values, journals) = ([[Double?]](), [EvaluationJournal]())
    for (index, stage) in stages.enumerated() {
      let method = try cluster.agree {
        try cascade.advance(share: cluster.size > 1 ? { try cluster.sharedMemory($0, fill: $1) } : nil)
      }
      let journal = try EvaluationJournal(
        folder: "\(request.out)/\(Self.journalMark)\(stage)", identity: "\(identity)\n\(stage)", cluster: cluster,
        log: log)
      journals.append(journal)
      let pass = try EvaluationPass(experiment, source: SampleSource(experiment, cache: nil), method: method)
      let outcomes = try pass.run(
        chosen.ids, .masks(experiment.configuration.evaluation), log: log,
        doing: "cascade \(index + 1)/\(stages.count), \(stage)", journal: journal, signals: signals)
      values.append(outcomes.map { outcome in maps[outcome.record.imageID].flatMap { Self.likeness($0, outcome) } })
    }
    self.values = values
    self.journals = journals
    summary = CascadeSummary(
      subset: chosen.subset.isEmpty ? "\(all.count) images" : chosen.subset,
      stages: zip(stages, values).map { CascadeSummary.Stage($0, $1) })
  }

  private static func likeness(_ one: ImageOutcome, _ other: ImageOutcome) -> Double? {
    guard one.record.isFinite, other.record.isFinite, one.side == other.side else { return nil }
    return spearman(one.map.values, other.map.values)
  }

  /// Writes `cascade.csv`. Call on one rank.
  func write(to folder: String) throws {
    try writeAtomically(
      CascadeSummary.csv(imageIDs: imageIDs, stages: stages, values), to: "\(folder)/cascade.csv")
  }

  /// Removes the journals: what they were for is written. Call on every rank.
  func finish() throws {
    for journal in journals { try journal.finish() }
  }

  /// Removes those that a cascade has left which was interrupted and is no longer asked for. Call on one rank.
  static func removeJournals(in folder: String) {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasPrefix(journalMark) {
      try? FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
  }
}
