import Foundation
import Testing
import Training

/// When a run writes checkpoints.

private let start = Date(timeIntervalSinceReferenceDate: 0)

private func schedule(minutes: Double = 0, epochs: Int = 0) -> CheckpointSchedule {
  CheckpointSchedule(everyMinutes: minutes, everyEpochs: epochs, start: start)
}

@Test func aCheckpointIsDueOnceItsMinutesHavePassedSinceTheLast() {
  var timed = schedule(minutes: 2)
  #expect(!timed.isDue(at: start + 120) && timed.isDue(at: start + 121))
  timed.note(begunAt: start + 121)
  #expect(!timed.isDue(at: start + 240) && timed.isDue(at: start + 242))
  #expect(!schedule().isDue(at: start + 1e9), "0 minutes: never")
}

@Test func anEpochsCheckpointIsDueByItsNumberItsValidationOrTheEnd() {
  func due(_ epoch: Int, every: Int, isBest: Bool = false, isLast: Bool = false) -> Bool {
    schedule(epochs: every).isDue(afterEpoch: epoch, isBest: isBest, isLast: isLast)
  }
  #expect((1...6).filter { due($0, every: 2) } == [2, 4, 6])
  #expect(!(1...6).contains { due($0, every: 0) })
  #expect(due(1, every: 0, isBest: true) && due(1, every: 0, isLast: true))
}
