import Cluster
import Dataset
import Experiments
import Foundation
import Settings
import TestSupport
import Testing
import Training

/// Samples that are read before their turn.

/// A synthetic set as a run sees it.
private func experiment(_ folder: TemporaryFolder, _ sets: [String] = []) throws -> Experiment {
  let data = "\(folder.path)/data"
  try SyntheticImages(classes: 2, imagesPerClass: 12, side: 32, seed: 0).write(to: data)
  let configuration = try Configuration.load(
    file: nil,
    sets: [
      "data.root=\(data)", "encoder.weights=\(data)/encoder.safetensors", "image.size=32", "lora.blocks=[3]",
      "side.width=24", "side.heads=3", "side.layers=2", "side.fusion=[0, 2]", "perception.channels=[8, 8]",
      "run.threads=2",
      "run.dir=\(folder.path)/run", "cache.dir=null", "training.batch=4", "training.epochs=3",
    ] + sets)
  return try Experiment(configuration, cluster: try Cluster(), training: false)
}

private func requests(_ experiment: Experiment, view: Int = 0) -> [SampleRequest] {
  experiment.split.train.map { SampleRequest(imageID: $0, view: view) }
}

@Test(arguments: [1, 3]) func samplesReadAheadComeInOrderWithTheBytesOfTheirFiles(threads: Int) throws {
  let folder = try TemporaryFolder()
  let experiment = try experiment(folder)
  let source = SampleSource(experiment, cache: nil)
  let wanted = requests(experiment)
  var left = wanted[...]
  let ahead = ReadAhead(source, rows: 4, threads: threads) { left.popFirst() }
  for (number, request) in wanted.enumerated() {
    let row = try #require(ahead.take())
    #expect(row.request == request && row.number == number && row.failure == nil)
    let direct = try source.render(try #require(experiment.dataset.image(request.imageID)), view: request.view)
    #expect(Array(UnsafeBufferPointer(start: row.pixels, count: direct.count)) == direct)
    ahead.giveBack(row)
  }
  #expect(ahead.take() == nil && ahead.take() == nil)
}

@Test func readingAheadHoldsNoMoreThanItsRows() throws {
  let folder = try TemporaryFolder()
  let experiment = try experiment(folder)
  var left = requests(experiment)[...]
  let total = left.count
  let ahead = ReadAhead(SampleSource(experiment, cache: nil), rows: 3, threads: 2) { left.popFirst() }
  for _ in 0..<3 { _ = ahead.take() }
  // Nothing is given back: however long it waits, nothing more is begun.
  usleep(50_000)
  #expect(left.count == total - 3)
}

@Test func aSampleThatCannotBeReadFailsInItsTurnAndTheNextOnesCome() throws {
  let folder = try TemporaryFolder()
  let experiment = try experiment(folder)
  let wanted = requests(experiment)
  let victim = try #require(experiment.dataset.image(wanted[5].imageID))
  let path = experiment.dataset.path(of: victim)
  var bytes = FileManager.default.contents(atPath: path) ?? Data()
  for index in 60..<120 { bytes[index] ^= 0x5A }
  try bytes.write(to: URL(fileURLWithPath: path))
  var left = wanted[...]
  let ahead = ReadAhead(SampleSource(experiment, cache: nil), rows: 8, threads: 2) { left.popFirst() }
  for number in 0..<wanted.count {
    let row = try #require(ahead.take())
    #expect((row.failure != nil) == (number == 5))
    if number == 5 { #expect(row.failure?.code == .badData && row.failure?.message.contains(victim.path) == true) }
    ahead.giveBack(row)
  }
}

@Test func whatIsReadAheadIsWhatEveryStepOfTheRunWillAskFor() throws {
  let folder = try TemporaryFolder()
  let experiment = try experiment(folder)
  let seed = experiment.configuration.run.seed
  let (steps, batch) = (experiment.stepsPerEpoch, experiment.configuration.training.batch)
  var expected: [SampleRequest] = []
  for epoch in 1...3 {
    for id in epochOrder(experiment.split.train, seed: seed, epoch: epoch) {
      expected.append(SampleRequest(imageID: id, view: epoch - 1))
    }
  }
  for (epoch, done) in [(1, 0), (1, 2), (2, 0), (1, steps), (3, steps - 1), (3, steps)] {
    let read = Array(IteratorSequence(TrainingOrder(experiment, isCached: false, epoch: epoch, batch: done)))
    let skipped = (epoch - 1) * experiment.split.train.count + min(done * batch, experiment.split.train.count)
    #expect(read == Array(expected.dropFirst(skipped)), "epoch \(epoch), batch \(done)")
  }
}
