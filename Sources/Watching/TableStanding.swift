import Foundation
import Reporting

/// Where a table stands, in words that the terminal and the page share.
struct TableStanding: Progress {
  /// How a row of one seed stands.
  enum Cell: String {
    case waiting, training, trained, evaluating, interrupted, done, failed
  }

  let state: String
  let progress: String
  /// Of the estimated time, 0…1; nil before the plan is made.
  let share: Double?
  /// "seed 0".
  let heads: [String]
  let rows: [(name: String, cells: [Cell])]
  /// The stage that goes on.
  let now: String?
  let failures: [String]
  let lastWords: [String]

  /// - Parameter date: now.
  init(_ table: WatchedTable, at date: Date = Date()) {
    state =
      table.isFinished ? "finished" : stateWords(table.holder, table.killed, table.ending, goingOn: table.goingOn)
    lastWords = table.lastWords
    guard let told = table.stages else {
      progress = table.holder == nil ? "no stage was begun" : "measures, and makes its plan"
      (share, heads, rows, now, failures) = (nil, [], [], nil, [])
      return
    }
    let isRunning = table.holder != nil
    let elapsed = (table.running?.beganAt).map { max(0, date.timeIntervalSince1970 - $0) } ?? 0
    heads = told.seeds.map { "seed \($0)" }
    rows = told.rows.map { row in (row.name, told.seeds.map { Self.cell(told, row, seed: $0, isRunning: isRunning) }) }
    // What rests on a stage that failed has its message.
    failures = told.stages.compactMap(\.failure).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    let estimate = table.running?.estimatedSeconds ?? 0
    let ownLeft = table.run.flatMap { Pace($0).secondsLeft } ?? max(0, estimate - elapsed)
    let waiting = told.stages.filter { $0.state == .waiting }.reduce(0) { $0 + $1.estimatedSeconds }
    let total = told.stages.reduce(0) { $0 + $1.estimatedSeconds }
    // What was begun counts for as much of its estimate as it has not left.
    let left = waiting + min(estimate, ownLeft)
    share = total > 0 ? min(1, max(0, 1 - left / total)) : nil
    let done = told.stages.count { $0.state == .done }
    let failed = told.stages.count { $0.state == .failed }
    progress =
      "\(done) of \(told.stages.count) stages done" + (failed > 0 ? ", \(failed) failed" : "")
      + (isRunning && done + failed < told.stages.count
        ? ", at most \(clock(Self.slowness(told) * waiting + ownLeft)) left (\(told.workers))" : "")
    now = table.running.map { stage in
      isRunning
        ? "\(stage.name): for \(clock(elapsed)), estimated at \(clock(estimate))"
        : "\(stage.name): interrupted; the same command goes on"
    }
  }

  /// How much longer stages have taken than was estimated, where others use the machine too; at least 1.
  private static func slowness(_ told: TableStages) -> Double {
    let done = told.stages.filter { $0.tookSeconds != nil }
    let estimated = done.reduce(0) { $0 + $1.estimatedSeconds }
    return estimated > 0 ? max(1, done.reduce(0) { $0 + ($1.tookSeconds ?? 0) } / estimated) : 1
  }

  private static func cell(_ told: TableStages, _ row: TableStages.Row, seed: UInt64, isRunning: Bool) -> Cell {
    func state(_ kind: TableStages.Kind, _ subject: String) -> TableStages.State? {
      told.stages.first { $0.kind == kind && $0.subject == subject && $0.seed == seed }?.state
    }
    return switch (state(.train, row.network), state(.evaluate, row.name)) {
    case (_, .done): .done
    case (.failed, _), (_, .failed): .failed
    case (.running, _) where !isRunning, (_, .running) where !isRunning: .interrupted
    case (_, .running): .evaluating
    case (.running, _): .training
    case (.done, _): .trained
    default: .waiting
    }
  }
}
