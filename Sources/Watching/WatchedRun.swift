import Dataset
import Failures
import Files
import Foundation
import Reporting
import Storage

/// A run seen from outside: by the files that it writes.
struct WatchedRun: Watched {
  let path: String
  private(set) var metrics: RunMetrics
  private(set) var events: RunEvents
  /// The process that has the folder; nil where none has.
  private(set) var holder: String?
  private(set) var killed: RunHolder.Killed?
  /// 0 before the run has said so.
  private(set) var epochs = 0
  private(set) var stepsPerEpoch = 0
  private(set) var batch = 0
  private(set) var trainCount = 0
  /// The log's last lines.
  private(set) var lastWords: [String] = []
  /// How the run has ended, as far as its log says.
  private(set) var ending: Ending?
  /// When the last step was made, in seconds since 1970; nil before there is one.
  private(set) var lastStepAt: Double?

  private static let shownWords = 3
  /// From the log's end.
  private static let wordsBytes = 64 << 10

  /// - Throws: `Failure` 66 for what is no run's folder, 65 where one of its files is no regular file.
  init(_ path: String) throws {
    self.path = path
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(name)") }
    // A run has made these before its first step; other commands lock their folders and keep logs, too.
    guard has("metrics.jsonl") || has("config.yaml") && has("split.json") || has("checkpoints/last.h5") else {
      throw Failure.missingInput(
        Belonging.kind(of: path).map {
          "\(path): is \($0), no folder of a run (run.dir) or of a table (--out), which ala watch looks on at"
        }
          ?? "\(path): is no folder of a run (run.dir) or of a table (--out): it has no metrics.jsonl, or the run has not begun yet"
      )
    }
    try requireRegularFiles(
      ["metrics.jsonl", "log.txt", "config.yaml", ".lock", "split.json", StartingCommand.fileName], in: path)
    metrics = RunMetrics("\(path)/metrics.jsonl")
    events = RunEvents("\(path)/tensorboard")
  }

  /// Looks at what is new.
  mutating func look() {
    // Before the files: what a run has written before it ended is there when it is known to have ended.
    holder = RunHolder.description(of: path)
    killed = RunHolder.killed(in: path)
    let settings = Dictionary(
      RunFolder.settings((try? RunFolder.text("\(path)/config.yaml")) ?? "").map { ($0.key, $0.value) }
    ) { $1 }
    func count(_ key: String) -> Int {
      settings[key].flatMap { Int($0) }.flatMap { RunFolder.counts.contains($0) ? $0 : nil } ?? 0
    }
    (epochs, batch) = (count("training.epochs"), count("training.batch"))
    trainCount = (try? Split.read(path: "\(path)/split.json"))?.train.count ?? 0
    stepsPerEpoch = batch > 0 ? (trainCount + batch - 1) / batch : 0
    metrics.look()
    events.look()
    let log = Self.logEnd(of: path)
    lastWords = log.suffix(Self.shownWords)
    ending = log.last { line in Self.turns.contains { line.hasPrefix($0) } }.flatMap(Ending.init)
    lastStepAt = metrics.steps.last.flatMap { line in line.step.flatMap { events.times[$0] } ?? metrics.changedAt }
  }

  /// How lines of the log begin that tell of a run's beginning, its epochs and its end.
  private static let turns = ["writes to ", "resuming ", "epoch "] + Ending.beginnings

  /// What goes on with the run, where none has the folder now: what it was started with, or, where its folder does not
  /// tell, its own settings at as many ranks.
  var goingOn: String {
    if let started = StartingCommand.read(from: path) { return started.typed }
    let ranks = metrics.ranks?.waits_for_ranks_ms?.count ?? 1
    let command = "ala train --config \(shellWord("\(path)/config.yaml"))"
    return ranks > 1 ? "mpirun -np \(ranks) \(command)" : command
  }

  /// The last lines of a folder's log.
  static func lastWords(of folder: String) -> [String] { logEnd(of: folder).suffix(shownWords) }

  private static func logEnd(of folder: String) -> [String] {
    let bytes = (try? readEnd(of: "\(folder)/log.txt", count: wordsBytes)) ?? []
    // The first line may be the end of one.
    return String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline)
      .dropFirst(bytes.count < wordsBytes ? 0 : 1).map(String.init)
  }
}
