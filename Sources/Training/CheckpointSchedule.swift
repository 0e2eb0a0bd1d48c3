import Foundation

/// When a run writes a checkpoint: after a time, after epochs, after a better validation, and at its end.
struct CheckpointSchedule {
  /// 0: never for time's sake.
  let everyMinutes: Double
  /// 0: never for an epoch's sake.
  let everyEpochs: Int
  private var last: Date

  init(everyMinutes: Double, everyEpochs: Int, start: Date) {
    self.everyMinutes = everyMinutes
    self.everyEpochs = everyEpochs
    last = start
  }

  /// Whether the time since the last one is over.
  func isDue(at time: Date) -> Bool { everyMinutes > 0 && time.timeIntervalSince(last) > everyMinutes * 60 }

  /// Whether one is written after an epoch, counted from 1.
  ///
  /// - Parameters:
  ///   - isBest: its validation was the best so far.
  ///   - isLast: the run ends with it.
  func isDue(afterEpoch epoch: Int, isBest: Bool, isLast: Bool) -> Bool {
    isBest || isLast || (everyEpochs > 0 && epoch % everyEpochs == 0)
  }

  mutating func note(writtenAt time: Date) { last = time }
}
