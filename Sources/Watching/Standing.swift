import Foundation
import Reporting
import Statistics

/// Where a run stands, in words that the terminal and the page share.
struct Standing: Progress {
  struct PhaseRow {
    let phase: String
    /// Mean losses, an epoch each, the newest last.
    let epochLosses: [Double]
    let cells: [String]
  }

  struct RankRow {
    let rank: Int
    let dataMilliseconds: Double
    let ranksMilliseconds: Double
  }

  static let phaseHeads = ["loss, last steps", "loss, epoch before", "samples/s", "s a step"]

  let state: String
  let progress: String
  /// 0…1; nil where the end is not known.
  let share: Double?
  let phases: [PhaseRow]
  let validation: String?
  /// What is not shown of the metrics.
  let remark: String?
  /// The ranks, those first that the others wait for.
  let ranks: [RankRow]
  let rankNote: String?
  let lastWords: [String]

  /// Whose mean is the loss of now.
  private static let meanSteps = 20
  /// Seconds without a step that are not worth a word.
  private static let leastSilence = 10.0
  /// More ranks than a page has room for: those that are waited for are shown.
  private static let mostRanks = 32

  /// - Parameter date: now.
  init(_ run: WatchedRun, at date: Date = Date()) {
    let pace = Pace(run)
    let last = run.metrics.steps.last
    state =
      run.ending == .finished && run.holder == nil
      ? "finished" : stateWords(run.holder, run.killed, run.ending, goingOn: run.goingOn)
    lastWords = run.lastWords
    let total = run.epochs * run.stepsPerEpoch
    let step = last?.step ?? 0
    share = total > 0 ? min(1, Double(step) / Double(total)) : nil
    progress =
      last.map { line in
        "epoch \(line.epoch)" + (run.epochs > 0 ? " of \(run.epochs)" : "") + " (\(line.phase)), step \(step)"
          + (total > 0 ? " of \(total)" : "")
          + (run.holder == nil
            ? "" : (pace.secondsLeft.map { ", at most \(clock($0)) left" } ?? "") + Self.silence(run, pace, line, date))
      } ?? "no step yet"
    phases = Self.phases(run, pace)
    validation = Self.validation(run.metrics.epochs)
    let leftOut = run.metrics.leftOut
    remark = leftOut > 0 ? "\(leftOut) line\(leftOut == 1 ? "" : "s") of metrics.jsonl left out: of no run" : nil
    let all = zip(run.metrics.ranks?.waits_for_data_ms ?? [], run.metrics.ranks?.waits_for_ranks_ms ?? [])
      .enumerated().map { RankRow(rank: $0, dataMilliseconds: $1.0, ranksMilliseconds: $1.1) }
    ranks = Array(all.sorted { $0.ranksMilliseconds < $1.ranksMilliseconds }.prefix(Self.mostRanks))
    rankNote = all.count > Self.mostRanks ? "of \(all.count) ranks, those that the others wait for" : nil
  }

  /// How long a run that goes on has made no step, where that is much longer than a step takes: it may be validating, or
  /// held. Roughly, so that it is not news at every look.
  private static func silence(_ run: WatchedRun, _ pace: Pace, _ last: RunFolder.Line, _ date: Date) -> String {
    guard let since = run.lastStepAt else { return "" }
    let (seconds, step) = (date.timeIntervalSince1970 - since, pace.secondsPerStep[last.phase] ?? 0)
    guard seconds > max(leastSilence, 10 * step), seconds < 1e9 else { return "" }
    let whole = Int(seconds)
    let age =
      whole < 120 ? "\(whole / 10 * 10) s" : whole < 7200 ? "\(whole / 60) min" : "\(whole / 3600) h"
    return ", last step \(age) ago"
  }

  private static func phases(_ run: WatchedRun, _ pace: Pace) -> [PhaseRow] {
    let byPhase = Dictionary(grouping: run.metrics.steps, by: \.phase)
    return byPhase.keys.sorted().map { phase in
      let steps = byPhase[phase] ?? []
      let epochs = Dictionary(grouping: steps, by: \.epoch).sorted { $0.key < $1.key }.compactMap { mean($0.value) }
      let rate = median(steps.suffix(meanSteps).compactMap(\.samples_per_s))
      return PhaseRow(
        phase: phase, epochLosses: epochs,
        cells: [
          text(mean(steps.suffix(meanSteps)), "%.4f"), text(epochs.dropLast().last, "%.4f"),
          text(rate, "%.4g"), text(pace.secondsPerStep[phase], "%.3g"),
        ])
    }
  }

  private static func mean(_ lines: some Collection<RunFolder.Line>) -> Double? {
    let losses = lines.compactMap(\.loss)
    return losses.isEmpty ? nil : losses.reduce(0, +) / Double(losses.count)
  }

  private static func text(_ value: Double?, _ format: String) -> String {
    value.map { String(format: format, $0) } ?? "–"
  }

  private static func validation(_ epochs: [RunFolder.Line]) -> String? {
    let valid = epochs.filter { $0.split == "valid" }
    guard let last = valid.last else { return nil }
    let best = valid.max { ($0.accuracy ?? 0, -($0.loss ?? 0)) < ($1.accuracy ?? 0, -($1.loss ?? 0)) }
    func words(_ line: RunFolder.Line) -> String {
      "epoch \(line.epoch): accuracy \(text(line.accuracy, "%.4f")), loss \(text(line.loss, "%.4f"))"
        + (line.iou.map { String(format: ", IoU %.4f", $0) } ?? "")
    }
    return words(last) + (best.map { $0.epoch == last.epoch ? "; no better one before" : "; best \(words($0))" } ?? "")
  }
}
