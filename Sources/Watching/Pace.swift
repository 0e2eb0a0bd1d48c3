import Foundation
import Reporting
import Statistics

/// How fast a run gets on, and how long it still takes.
struct Pace {
  /// Seconds of a step, by phase: the median of its last ones.
  let secondsPerStep: [String: Double]
  /// Seconds to the last epoch's end; nil where nothing is known. An early stop may come before.
  let secondsLeft: Double?

  private static let lastSteps = 50

  init(_ run: WatchedRun) {
    let steps = run.metrics.steps
    var durations: [String: [Double]] = [:]
    for line in steps.reversed() where durations[line.phase, default: []].count < Self.lastSteps {
      if let seconds = Self.seconds(line, run) { durations[line.phase, default: []].append(seconds) }
    }
    let medians = durations.compactMapValues(median)
    secondsPerStep = medians
    guard let last = steps.last, run.stepsPerEpoch > 0, run.epochs > 0, !medians.isEmpty else {
      secondsLeft = nil
      return
    }
    let pauses = Self.pauses(run)
    // Phases come again in the same order: an epoch is like the one two before it.
    let known = Dictionary(steps.map { ($0.epoch, $0.phase) }) { $1 }
    func phase(_ epoch: Int) -> String { known[epoch] ?? known[epoch - 2] ?? last.phase }
    func duration(_ epoch: Int, done: Int = 0) -> Double {
      let own = medians[phase(epoch)] ?? medians[last.phase] ?? 0
      return own * Double(max(0, run.stepsPerEpoch - done)) + (pauses[phase(epoch)] ?? 0)
    }
    // Of the epochs to come every other one takes as long.
    let left = max(0, run.epochs - last.epoch)
    let done = (last.step ?? 0) - (last.epoch - 1) * run.stepsPerEpoch
    let seconds =
      duration(last.epoch, done: done) + duration(last.epoch + 1) * Double((left + 1) / 2)
      + duration(last.epoch + 2) * Double(left / 2)
    let isAtEnd = (last.step ?? 0) >= run.epochs * run.stepsPerEpoch
    secondsLeft = isAtEnd ? 0 : seconds
  }

  /// Of one step, by its rate and its samples: the last one of an epoch may have fewer.
  private static func seconds(_ line: RunFolder.Line, _ run: WatchedRun) -> Double? {
    guard let rate = line.samples_per_s, rate > 0, let step = line.step, run.stepsPerEpoch > 0 else { return nil }
    let isLast = step % run.stepsPerEpoch == 0
    let samples = isLast ? run.trainCount - (run.stepsPerEpoch - 1) * run.batch : run.batch
    return Double(samples) / rate
  }

  /// Seconds between an epoch's last step and the next one's first, by the epoch's phase: validation, mostly.
  private static func pauses(_ run: WatchedRun) -> [String: Double] {
    var pauses: [String: [Double]] = [:]
    for (line, next) in zip(run.metrics.steps, run.metrics.steps.dropFirst()) where next.epoch == line.epoch + 1 {
      guard let end = run.events.times[line.step ?? 0], let begin = run.events.times[next.step ?? 0],
        let own = seconds(next, run), begin - end > own
      else { continue }
      pauses[line.phase, default: []].append(begin - end - own)
    }
    return pauses.compactMapValues(median)
  }
}

/// "4:05", "2:04:05".
func clock(_ seconds: Double) -> String {
  guard (0..<1e9).contains(seconds) else { return "?" }
  let whole = Int(seconds.rounded())
  let (hours, minutes) = (whole / 3600, whole / 60 % 60)
  return hours > 0
    ? String(format: "%d:%02d:%02d", hours, minutes, whole % 60) : String(format: "%d:%02d", minutes, whole % 60)
}
