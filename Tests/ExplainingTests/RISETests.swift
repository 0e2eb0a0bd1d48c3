import AttentionLattice
import Cluster
import Dataset
import Experiments
import Explaining
import Foundation
import Networks
import Settings
import Tensor
import TestSupport
import Testing

/// RISE against its definition (Petsiuk, Das, Saenko, BMVC 2018), written out slowly.

/// The first row of the enlargement that scikit-image 0.25's `resize` gives of 1, 0, 1 (order 1, mode reflect).
@Test func cellsAreEnlargedLinearlyAndMirroredAboutTheOuterCentres() {
  let grid: [Float] = [1, 0, 1, 1, 0, 1, 1, 0, 1]
  let enlarged = RISEMasks.enlarge(grid, cells: 3, cell: 3, rows: 0..<12, columns: 0..<12)
  let row: [Float] = [0.625, 0.875, 0.875, 0.625, 0.375, 0.125, 0.125, 0.375, 0.625, 0.875, 0.875, 0.625]
  for y in 0..<12 { #expect(Array(enlarged[(12 * y)..<(12 * y + 12)]) == row, "row \(y)") }
  let part = RISEMasks.enlarge(grid, cells: 3, cell: 3, rows: 2..<7, columns: 1..<6)
  #expect(part == (0..<5).flatMap { _ in row[1..<6] })
  #expect(
    RISEMasks.enlarge([0.5], cells: 1, cell: 4, rows: 1..<5, columns: 3..<7) == [Float](repeating: 0.5, count: 16))
}

@Test func aMaskIsAPureFunctionOfSeedAndNumberAndKeepsTheShareOfItsCells() {
  let masks = RISEMasks(side: 30, cells: 7, keep: 0.3, seed: 4)
  #expect(masks.mask(11) == masks.mask(11) && masks.mask(11) != masks.mask(12))
  #expect(masks.mask(11) != RISEMasks(side: 30, cells: 7, keep: 0.3, seed: 5).mask(11))
  var sum = 0.0
  for number in 0..<400 {
    let mask = masks.mask(number)
    #expect(mask.count == 900 && mask.allSatisfy { (0...1).contains($0) })
    sum += mask.reduce(0) { $0 + Double($1) } / 900
  }
  // 400 masks of about 49 cells: a standard deviation of 0.0033.
  #expect(abs(sum / 400 - 0.3) < 0.015)
}

/// A small model on a synthetic image, with settings of RISE.
struct Subject {
  let folder: TemporaryFolder
  let experiment: Experiment
  let view: ExplainedView

  init(_ sets: [String]) throws {
    folder = try TemporaryFolder()
    let data = "\(folder.path)/data"
    try SyntheticImages(classes: 2, imagesPerClass: 4, side: 32, seed: 0).write(to: data, isOverwriting: false)
    let configuration = try Configuration.load(
      file: nil,
      sets: [
        "data.root=\(data)", "encoder.weights=\(data)/encoder.safetensors", "image.size=32", "lora.blocks=[3]",
        "side.width=24", "side.heads=3", "side.layers=2", "side.fusion=[0, 2]", "perception.channels=[8, 8]",
        "run.threads=1", "run.seed=3", "rise.masks=37", "rise.cells=3", "rise.keep=0.4",
      ] + sets)
    experiment = try Experiment(configuration, cluster: try Cluster(), training: false)
    experiment.model.parameters.initialise(seed: 9)
    let image = try #require(experiment.dataset.images.first)
    let pixels = try SampleSource(experiment, cache: nil).evaluationView(of: image).pixels
    let inference = experiment.model.makeInference()
    inference.run(pixels: pixels, experiment.model.encoder)
    view = ExplainedView(
      imageID: image.id, pixels: pixels, prediction: Prediction(inference, mapSide: experiment.model.mapSide))
  }

  var explained: ExplainedModel {
    ExplainedModel(experiment.model, experiment.configuration) { [experiment] in try experiment.makeModel() }
  }

  func worker() throws -> any PartwiseWorker {
    try #require(RISE().prepare(explained)(experiment.model.makeInference()) as? any PartwiseWorker)
  }

  /// Σ p·m/(N·keep), pixel by pixel of the normalised image.
  func slowly(_ count: Int, target: Int, absent: (Int) -> Float) -> [Double] {
    let encoder = experiment.model.encoder
    let masks = RISEMasks(side: 32, cells: 3, keep: 0.4, seed: 3)
    let inference = experiment.model.makeInference()
    var sum = [Double](repeating: 0, count: 32 * 32)
    for number in 0..<count {
      let mask = masks.mask(number)
      let p = encoder.patch
      for y in 0..<32 {
        for x in 0..<32 {
          for channel in 0..<3 {
            let seen =
              (Float(view.pixels[(y * 32 + x) * 3 + channel]) / 255 - encoder.mean[channel])
              / encoder.standardDeviation[channel]
            let gone = absent(channel)
            let patch = y / p * encoder.grid + x / p
            inference.patches[patch * encoder.patchValues + (channel * p + y % p) * p + x % p] =
              gone + (seen - gone) * mask[y * 32 + x]
          }
        }
      }
      inference.run(.pixels)
      let probability = Double(inference.probabilities()[target])
      for index in sum.indices { sum[index] += probability * Double(mask[index]) }
    }
    return sum.map { $0 / (Double(count) * 0.4) }
  }
}

@Test(arguments: ["normalised_zero", "zero"]) func theMapIsTheMeanOfMasksWeighedByTheProbability(absent: String) throws
{
  let subject = try Subject(["rise.absent=\(absent)"])
  let map = try subject.worker().map(subject.view, target: 1)
  let encoder = subject.experiment.model.encoder
  let slow = subject.slowly(37, target: 1) { channel in
    absent == "zero" ? -encoder.mean[channel] / encoder.standardDeviation[channel] : 0
  }
  let worst = zip(map.values, slow).map { abs(Double($0) - $1) }.max() ?? 1
  #expect(worst < 2e-6 && map.notes["masks"] == 37, "\(worst)")
}

@Test func aRunWithFewerMasksIsTheBeginningOfOneWithMore() throws {
  let (few, many) = (try Subject([]), try Subject(["rise.masks=52"]))
  let (short, long) = (try few.worker(), try many.worker())
  for index in 0..<3 {
    #expect(
      short.part(index, of: few.view, target: 0) == long.part(index, of: many.view, target: 0), "part \(index)")
  }
}

@Test func anImageSettlesAtAFixedCountWhereItsHalvesAgree() throws {
  for (settle, masks) in [("-1", 250.0), ("1", 600)] {
    let subject = try Subject(["rise.masks=600", "rise.settle=\(settle)"])
    let map = try subject.worker().map(subject.view, target: 0)
    #expect(map.notes["masks"] == masks, "settle \(settle)")
    #expect((-1...1).contains(map.notes["split_half"] ?? 2))
  }
}
