import Files
import Foundation
import Reporting
import Storage

/// A table seen from outside: by its `stages.json` and the files of the run that goes on.
struct WatchedTable: Watched {
  let path: String
  private(set) var holder: String?
  private(set) var killed: RunHolder.Killed?
  /// nil before the plan is made.
  private(set) var stages: TableStages?
  /// Of the network that is being trained, or was when the table ended.
  private(set) var run: WatchedRun?
  private(set) var lastWords: [String] = []

  static func isThere(_ path: String) -> Bool { OutputFolder.isMade(path, by: "table") }

  /// - Throws: `Failure` 65 where one of its files is no regular file.
  init(_ path: String) throws {
    self.path = path
    try requireRegularFiles([TableStages.fileName, StartingCommand.fileName, "log.txt", ".lock"], in: path)
  }

  mutating func look() {
    holder = RunHolder.description(of: path)
    killed = RunHolder.killed(in: path)
    // A table that was interrupted and goes on first measures; what stands there is of the call before until then.
    stages = TableStages.read(from: path)
    lastWords = WatchedRun.lastWords(of: path)
    guard let stage = running, stage.kind == .train else {
      run = nil
      return
    }
    let folder = "\(path)/\(TableStages.runFolder(stage.subject, seed: stage.seed))"
    if run?.path != folder { run = try? WatchedRun(folder) }
    run?.look()
  }

  /// Whether no stage is left that the same command would make.
  var isFinished: Bool {
    holder == nil && killed == nil && stages.map { $0.stages.allSatisfy { $0.state == .done } } ?? false
  }

  /// How the last call has ended, as far as its log says.
  var ending: Ending? { lastWords.last.flatMap(Ending.init) }

  /// What the last call was started with.
  var goingOn: String? { StartingCommand.read(from: path)?.typed }

  /// The stage that goes on, or that the table was interrupted in.
  var running: TableStages.Stage? { stages?.stages.first { $0.state == .running } }
}
