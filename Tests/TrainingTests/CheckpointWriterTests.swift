import Failures
import Foundation
import Layers
import Storage
import TestSupport
import Testing
import Training

/// Checkpoints that are written while training goes on.

/// Tensors and a statistic, each of one value everywhere.
private func makeStore(filledWith value: Float, count: Int = 1 << 16) throws -> ParameterStore {
  let store = ParameterStore()
  _ = store.declare("a.weight", [count / 4, 4], group: ParameterGroup("a"), .zeros)
  _ = store.declare("b.conv", [2, 3, 3, 3], group: ParameterGroup("b"), .zeros, memoryOrder: .channelsLast)
  _ = store.declareStatistic("b.running_mean", count: 3, startsAtOne: false)
  try store.allocate(training: true)
  fill(store, with: value)
  return store
}

private func fill(_ store: ParameterStore, with value: Float) {
  for (index, arena) in [store.values, store.statisticValues, store.firstMoments, store.secondMoments].enumerated() {
    arena.base.update(repeating: value + Float(index) / 8, count: arena.count)
  }
  store.steps = store.steps.map { _ in Int(value) }
}

private func values(_ tensors: [NamedTensor], _ name: String) -> Set<Float> {
  Set(tensors.first { $0.name == name }?.values ?? [])
}

@Test func aCheckpointHoldsTheStateOfTheMomentWhenItWasBegunHoweverTrainingGoesOn() throws {
  let root = try TemporaryFolder()
  let folder = CheckpointFolder(path: "\(root.path)/kept", keep: 9)
  let store = try makeStore(filledWith: 1, count: 1 << 20)
  let writer = CheckpointWriter(folder, of: store)
  for step in 1...3 {
    try writer.begin(
      step: step, attributes: ["step": .integer(Int64(step))], isBest: step == 2, bestStep: step == 1 ? nil : 2)
    // The next step's update, as the file is being made.
    #expect(writer.isBusy)
    fill(store, with: Float(step + 1))
  }
  try writer.finish()
  #expect(try !writer.isBusy && folder.steps() == [3, 2, 1])
  for (path, value) in [(folder.file(step: 1), Float(1)), (folder.best, 2), (folder.last, 3)] {
    let file = try Checkpoint.read(path)
    #expect(values(file.model, "a.weight") == [value] && values(file.model, "b.conv") == [value])
    #expect(values(file.model, "b.running_mean") == [value + 0.125])
    #expect(values(file.firstMoments, "a.weight") == [value + 0.25])
    #expect(values(file.secondMoments, "b.conv") == [value + 0.375])
    #expect(file.steps == ["a.weight": Int64(value), "b.conv": Int64(value)])
    #expect(file.integer("step") == Int(value))
  }
}

@Test func whatCouldNotBeWrittenIsThrownByTheNextCallAndNothingIsBegunAfterIt() throws {
  let root = try TemporaryFolder()
  try "in the way".write(toFile: "\(root.path)/kept", atomically: true, encoding: .utf8)
  let folder = CheckpointFolder(path: "\(root.path)/kept/checkpoints", keep: 1)
  let writer = CheckpointWriter(folder, of: try makeStore(filledWith: 1))
  try writer.begin(step: 1, attributes: [:], isBest: false, bestStep: nil)
  writer.wait()
  #expect(writer.failure?.code == .cannotWrite && writer.failure?.message.contains(folder.path) == true)
  unlink("\(root.path)/kept")
  for _ in 0..<2 {
    let failure = #expect(throws: Failure.self) {
      try writer.begin(step: 2, attributes: [:], isBest: false, bestStep: nil)
    }
    #expect(failure == writer.failure)
  }
  #expect(throws: Failure.self) { try writer.finish() }
  #expect(try folder.steps().isEmpty)
}

@Test func anOlderCheckpointThatCannotBeRemovedIsToldOfOnce() throws {
  let root = try TemporaryFolder()
  let folder = CheckpointFolder(path: "\(root.path)/kept", keep: 1)
  let writer = CheckpointWriter(folder, of: try makeStore(filledWith: 1))
  // Which not even root unlinks.
  try FileManager.default.createDirectory(atPath: folder.file(step: 1), withIntermediateDirectories: true)
  for step in 2...4 {
    try writer.begin(step: step, attributes: [:], isBest: false, bestStep: nil)
    try writer.finish()
    let told = writer.takeReasonOfOldOnes()
    #expect(step == 2 ? told?.hasPrefix(folder.file(step: 1)) == true : told == nil, "\(step): \(told ?? "nothing")")
  }
  #expect(try folder.steps() == [4, 1])
}
