import Estimation
import Caching
import Cluster
import Evaluation
import Experiments
import Failures
import Files
import Foundation
import Storage
import Training

/// Goes through the stages of a plan: skips what is done, goes on with what was interrupted, keeps what fails and goes on
/// with the rest.
final class TableRun {
  private let plan: TablePlan
  private let cluster: Cluster
  /// The table's own; stages have theirs.
  private let log: RunLog
  /// The `ala` program, which examines foreign HDF5 files.
  private let program: String
  private let signals = SignalWatch()
  /// On rank 0.
  private var notes: StageNotes?
  /// What has kept stages from being done, in their order.
  private(set) var failures: [(stage: Stage, failure: Failure)] = []
  private var failed: [Stage: Failure] = [:]

  init(_ plan: TablePlan, cluster: Cluster, log: RunLog, program: String, notes: StageNotes?) {
    (self.plan, self.cluster, self.log, self.program, self.notes) = (plan, cluster, log, program, notes)
    notes?.write()
  }

  /// Runs every stage. Call on every rank.
  ///
  /// - Throws: `Failure` 75 after a signal; what ranks could not agree on.
  func run() throws {
    let stages = plan.stages
    for (number, stage) in stages.enumerated() {
      try hearSignals()
      guard try state(stage) != .isDone else {
        notes?.note(stage, .done)
        continue
      }
      if let cause = cause(stage) {
        note(stage, cause)
        continue
      }
      log.info("\(number + 1)/\(stages.count): \(plan.name(stage))")
      let start = Date()
      notes?.note(stage, .running)
      do {
        try run(stage)
        notes?.note(stage, .done)
        log.info("\(plan.name(stage)): done in \(Quantity.words(seconds: Date().timeIntervalSince(start)))")
      } catch let failure as Failure where failure.code != .interrupted && cluster.isShared(failure) {
        note(stage, Failure(failure.code, "\(plan.name(stage)): \(failure.message)\(remedy(stage, failure))"))
      }
    }
    try hearSignals()
  }

  private func note(_ stage: Stage, _ failure: Failure) {
    failures.append((stage, failure))
    failed[stage] = failure
    notes?.note(stage, .failed, failure: failure.message)
    log.warning("\(plan.name(stage)) is given up, the others go on: \(failure)")
  }

  /// What is left to do by hand where a stage cannot go on from its own folder's files.
  private func remedy(_ stage: Stage, _ failure: Failure) -> String {
    switch (stage, failure.code) {
    case (.train(let network, let seed), .badData): " (delete \(plan.runFolder(network, seed: seed)) to train it anew)"
    case (.evaluate(let row, let seed), .cannotWrite):
      " (or delete \(plan.evaluationFolder(plan.rows[row], seed: seed)) to make it anew)"
    default: ""
    }
  }

  /// The failure of an earlier stage that keeps this one from being run.
  private func cause(_ stage: Stage) -> Failure? {
    let earlier: [Stage]
    switch stage {
    case .cache: earlier = []
    case .train(let network, let seed):
      let cache = plan.caches.firstIndex { $0.networks.contains(network) }
      earlier =
        [cache.map { .cache($0, seed: seed) }, plan.networks[network].classifier.map { .train($0, seed: seed) }]
        .compactMap { $0 }
    case .evaluate(let row, let seed): earlier = [.train(plan.rows[row].network, seed: seed)]
    }
    return earlier.lazy.compactMap { self.failed[$0] }.first
  }

  private func hearSignals() throws {
    guard cluster.round(failure: nil, signal: signals.pending, flag: false) == .signal else { return }
    throw cluster.agreed(
      .interrupted("interrupted between two stages; what is done is kept: run the same command again"))
  }

  /// As rank 0 finds it.
  private func state(_ stage: Stage) throws -> StageState {
    let byte = try cluster.fromRoot { [try plan.state(stage).rawValue] }
    return StageState(rawValue: byte[0]) ?? .isOpen
  }

  private func run(_ stage: Stage) throws {
    switch stage {
    case .cache(let index, let seed): try makeCache(plan.caches[index], seed: seed)
    case .train(let network, let seed): try train(network, seed: seed)
    case .evaluate(let row, let seed): try evaluate(plan.rows[row], seed: seed)
    }
  }

  private func makeCache(_ cache: CacheGroup, seed: UInt64) throws {
    let configuration = try plan.configuration(cache.maker, seed: seed)
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    try runCachingPass(experiment, log: RunLog(cluster, volume: log.volume))
    try cluster.onRoot {
      let outputs = try StageRecord.digests([TablePlan.cacheFile], in: plan.cacheFolder(cache, seed: seed))
      try StageRecord(inputs: try plan.cacheInputs(cache, seed: seed), outputs: outputs).write(
        to: plan.cacheRecord(cache, seed: seed))
    }
  }

  private func train(_ network: Int, seed: UInt64) throws {
    let folder = plan.runFolder(network, seed: seed)
    let record = "\(folder)/\(TablePlan.trainRecord)"
    var options = TrainingOptions(program: program)
    let inputs = try text { try self.plan.trainingInputs(network, seed: seed) ?? "" }
    let isGoingOn = try text {
      let isSame = try self.plan.differences(fromRunOf: network, seed: seed).isEmpty
      let isBegun = StageRecord.read(record).map { $0.inputs == inputs && $0.outputs == nil } ?? true
      return isSame && isBegun ? "yes" : "no"
    }
    if isGoingOn != "yes" { options.resume = .never }
    try cluster.onRoot {
      try makeFolder(folder)
      try StageRecord(inputs: inputs, outputs: nil).write(to: record)
    }
    let configuration = try plan.configuration(network, seed: seed)
    let experiment = try Experiment(
      configuration, cluster: cluster, training: true,
      resumed: try resumedProducts(configuration, options.resume, cluster: cluster))
    let runLog = RunLog(cluster, volume: log.volume)
    do {
      try Training.train(experiment, options, log: runLog)
    } catch {
      runLog.keepLastWords(of: error, cluster)
      throw error
    }
    try cluster.onRoot {
      let outputs = try StageRecord.digests([TablePlan.checkpoint(of: folder)], in: folder)
      try StageRecord(inputs: inputs, outputs: outputs).write(to: record)
    }
  }

  private func evaluate(_ row: ComparedRow, seed: UInt64) throws {
    let folder = plan.evaluationFolder(row, seed: seed)
    let record = "\(folder)/\(TablePlan.evaluateRecord)"
    let run = plan.runFolder(row.network, seed: seed)
    let inputs = try text { try self.plan.evaluationInputs(row, seed: seed) ?? "" }
    let configuration = try plan.configuration(row, seed: seed)
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    try loadWeights(experiment, checkpoint: run, program: program)
    let isSubset = plan.evaluatedCount < experiment.split.test.count
    let request = EvaluationRequest(
      split: "test", method: row.method, limit: isSubset ? plan.evaluatedCount : nil,
      limitSeed: configuration.data.splitSeed, out: folder, isOverwriting: false,
      inputs: [checkpointPath(run), configuration.encoder.weights])
    let summary = try Evaluation.evaluate(experiment, request, log: RunLog(cluster, volume: log.volume))
    guard summary.counts.notFinite == 0 else {
      throw cluster.agreed(
        .internalError(
          "maps or probabilities of \(summary.counts.notFinite) of \(plan.evaluatedCount) images are not finite, so that "
            + "its figures would be of other images than those of the other rows"))
    }
    try cluster.onRoot {
      let outputs = try StageRecord.digests(TablePlan.evaluationFiles, in: folder)
      try StageRecord(inputs: inputs, outputs: outputs).write(to: record)
    }
  }

  private func text(_ body: () throws -> String) throws -> String {
    String(decoding: try cluster.fromRoot { Array(try body().utf8) }, as: UTF8.self)
  }
}
