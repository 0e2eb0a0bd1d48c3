import Experiments
import Foundation
import Reporting

/// Keeps the table's folder told of how the stages stand, for `ala watch`. On one rank.
struct StageNotes {
  private let folder: String
  private let log: RunLog
  private var stages: TableStages
  private var places: [Stage: Int]

  /// - Parameter states: of all stages.
  init(_ plan: TablePlan, _ states: [Stage: StageState], log: RunLog) {
    (folder, self.log) = (plan.out, log)
    let estimate = CostEstimate(plan: plan)
    places = Dictionary(uniqueKeysWithValues: plan.stages.enumerated().map { ($1, $0) })
    stages = TableStages(
      rows: plan.rows.map { TableStages.Row(name: $0.name, network: plan.networks[$0.network].name) },
      seeds: plan.seeds, workers: plan.workers,
      stages: plan.stages.map { stage in
        let (kind, subject, seed) = Self.parts(stage, plan)
        return TableStages.Stage(
          name: plan.name(stage), kind: kind, subject: subject, seed: seed, estimatedSeconds: estimate.seconds(stage),
          state: states[stage]?.countsAsDone == true ? .done : .waiting)
      })
  }

  private static func parts(_ stage: Stage, _ plan: TablePlan) -> (TableStages.Kind, String, UInt64) {
    switch stage {
    case .cache(let index, let seed): (.cache, "\(seed)\(plan.caches[index].suffix)", seed)
    case .train(let network, let seed): (.train, plan.networks[network].name, seed)
    case .evaluate(let row, let seed): (.evaluate, plan.rows[row].name, seed)
    }
  }

  mutating func note(_ stage: Stage, _ state: TableStages.State, failure: String? = nil) {
    guard let place = places[stage] else { return }
    stages.stages[place].state = state
    stages.stages[place].failure = failure
    let now = Date().timeIntervalSince1970
    if state == .running { stages.stages[place].beganAt = now }
    if state == .done, let began = stages.stages[place].beganAt { stages.stages[place].tookSeconds = now - began }
    write()
  }

  /// Whoever looks on sees less where it cannot be written; the table itself does not need it.
  func write() {
    do {
      try stages.write(to: folder)
    } catch {
      log.warnOnce("ala watch will not see how the stages stand: \(error)")
    }
  }
}
