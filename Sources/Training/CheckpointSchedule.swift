import Foundation

/// When a run writes a checkpoint: after a time, after epochs, after a better validation, and at its end.
public struct CheckpointSchedule: Sendable {
  /// 0: never for time's sake.
  public let everyMinutes: Double
  /// 0: never for an epoch's sake.
  public let everyEpochs: Int
  private var last: Date

  public init(everyMinutes: Double, everyEpochs: Int, start: Date) {
    self.everyMinutes = everyMinutes
    self.everyEpochs = everyEpochs
    last = start
  }

  /// Whether the time since the last one is over.
  public func isDue(at time: Date) -> Bool { everyMinutes > 0 && time.timeIntervalSince(last) > everyMinutes * 60 }

  /// Whether one is written after an epoch, counted from 1.
  ///
  /// - Parameters:
  ///   - isBest: its validation was the best so far.
  ///   - isLast: the run ends with it.
  public func isDue(afterEpoch epoch: Int, isBest: Bool, isLast: Bool) -> Bool {
    isBest || isLast || (everyEpochs > 0 && epoch % everyEpochs == 0)
  }

  public mutating func note(begunAt time: Date) { last = time }
}
