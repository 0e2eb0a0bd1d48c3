import Encoder
import FCAM
import Foundation
import Lanes
import Layers
import Networks
import Randomness
import ReferenceSupport
import Tensor
import TestSupport
import Testing
import Training

/// The decoder, its seeds and its loss against U-Net as it is drawn, in PyTorch in double (`scripts/fixtures/fcam.py`).

let variants = ["fcam", "fcam-extended", "fcam-no-skips"]

/// A variant's network with its initial tensors, and its inputs.
struct Setup: ReferenceNetwork {
  let fixture: Fixture
  let reference: ReferenceSettings
  let options: FCAMOptions
  let network: FCAMModel
  let labels: [Int]

  init(_ variant: String, lanes: Int = 4) throws {
    fixture = try Fixture("\(variant).safetensors", testFile: #filePath)
    let s = try ReferenceSettings(fixture)
    reference = s
    let encoderOptions = EncoderOptions(
      weights: Fixture.path("\(variant).encoder.safetensors"), imageSide: s.integer("size"), heads: s.integer("heads"),
      loraBlocks: [])
    var options = FCAMOptions()
    options.skips = s.integers("skips")
    options.widths = s.integers("widths")
    (options.erosion, options.dilation) = (s.integer("erosion"), s.integer("dilation"))
    options.backgroundShare = s.number("share")
    options.seedWeight = s.number("seed_weight")
    options.sizeWeight = s.number("size_weight")
    options.crfWeight = s.number("crf_weight")
    (options.sigmaXY, options.sigmaRGB) = (s.number("sigma_xy"), s.number("sigma_rgb"))
    let t = s.numbers("t")
    (options.barrier.start, options.barrier.growth, options.barrier.most) = (t[0], t[1], t[2])
    (options.seed, options.epochs, options.lanes) = (UInt64(s.integer("seed")), s.integer("epochs"), lanes)
    self.options = options
    network = try FCAMModel(
      options,
      classifier: FrozenClassifier(
        weight: try fixture.floats("classifier_weight"), bias: try fixture.floats("classifier_bias"), sha256: "x"),
      encoderOptions, on: try EncoderFile(encoderOptions), training: true)
    labels = try fixture.doubles("labels").map { Int($0) }
    try takeInitialTensors()
  }

  var trained: any Network { network }
  var side: Int { network.mapSide ?? 0 }

  func place(_ step: Int) -> StepPlace { StepPlace(seed: options.seed, epoch: step, step: step) }
}

@Test(arguments: variants) func theSeedsOfAStepAreThoseOfTheRule(variant: String) throws {
  let setup = try Setup(variant)
  let (S, g) = (setup.side, setup.network.encoder.grid)
  let sampler = SeedSampler(options: setup.options, side: S)
  let cams = try setup.fixture.floats("cams")
  let memory = Buffer(SeededPixels.count(window: setup.options.dilation))
  let scratch = Buffer(sampler.scratchCount)
  for sample in setup.labels.indices {
    var found = [Int](repeating: -1, count: S * S)
    let map = Array(cams[(sample * g * g)..<((sample + 1) * g * g)])
    let stream = RandomStream(seed: setup.options.seed, name: "fcam-seeds", index: 1 << 32 | UInt64(sample))
    map.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress {
        sampler.draw(SeededPixels(memory.base), map: base, grid: g, stream: stream, scratch: scratch.base)
      }
    }
    SeededPixels(memory.base).forEach { pixel, label in found[pixel] = label }
    let expected = try setup.fixture.doubles("seeds")[(sample * S * S)..<((sample + 1) * S * S)].map { Int($0) - 1 }
    #expect(found == expected, "sample \(sample)")
  }
}

@Test(.eachLibrary, arguments: variants) func theMapAndTheValidationLossOfADecoderAgreeWithPyTorch(variant: String)
  throws
{
  let setup = try Setup(variant)
  let (S, C) = (setup.side, setup.network.classes)
  let inference = setup.network.makeInference()
  for (sample, label) in setup.labels.enumerated() {
    func expected(_ name: String, _ count: Int) throws -> [Double] {
      Array(try setup.fixture.doubles("evaluation/\(name)")[(sample * count)..<((sample + 1) * count)])
    }
    try setup.patchify(sample, inference.patches)
    inference.run(.pixels)
    let logits = try expected("logits", C)
    let total = logits.reduce(0) { $0 + exp($1) }
    #expect(difference(inference.probabilities(), logits.map { exp($0) / total }) < 1e-5)
    // In either order: the loss takes what the map is made of.
    if sample % 2 == 1 {
      #expect(abs(inference.loss(label: label, imageID: 100 + sample) - (try expected("loss", 1)[0])) < 1e-4)
    }
    let map = try #require(inference.map)
    let error = difference(Array(UnsafeBufferPointer(start: map, count: S * S)), try expected("map", S * S))
    noteDifference("map of F-CAM's decoder", reference: "PyTorch, double", error, limit: 1e-5)
    #expect(error < 1e-5)
    let loss = try expected("loss", 1)[0]
    #expect(abs(inference.loss(label: label, imageID: 100 + sample) - loss) < 1e-4 * max(1, abs(loss)))
  }
}

@Test(.eachLibrary, arguments: variants, [1, 4]) func everyGradientOfADecoderAgreesWithPyTorch(
  variant: String, lanes: Int
) throws {
  let setup = try Setup(variant, lanes: lanes)
  let pass = setup.makePass(threads: 2)
  try setup.load(pass)
  let outcome = pass.run(setup.network.phase(epoch: 1), at: setup.place(1))
  let parts = try setup.fixture.doubles("parts")
  for (part, expected) in zip(outcome.parts, parts) {
    #expect(abs((part.value ?? .nan) - expected) < 1e-5 * max(1, abs(expected)), "\(part.name)")
  }
  #expect(abs(outcome.loss - parts.reduce(0, +)) < 1e-4)
  let store = setup.network.parameters
  let all = try store.parameters.flatMap { try setup.fixture.doubles("grad/\($0.name)") }
  let largest = all.map(abs).max() ?? 0
  for parameter in store.parameters {
    let expected = try setup.fixture.doubles("grad/\(parameter.name)")
    let scale = max(expected.map(abs).max() ?? 0, largest * 1e-3)
    let error = difference(store.fileValues(of: parameter, in: store.gradients), expected, scale: scale)
    noteDifference("every gradient of F-CAM's decoder", reference: "PyTorch, double", error, limit: 1e-4)
    #expect(error < 1e-4, "\(parameter.name)")
  }
}

@Test(.eachLibrary, arguments: variants) func fourStepsOfADecoderAgreeWithPyTorch(variant: String) throws {
  let setup = try Setup(variant)
  let pass = setup.makePass()
  let (network, store) = (setup.network, setup.network.parameters)
  let optimizer = Optimizer(
    store, team: ThreadTeam(threads: 1), rule: .sgd(momentum: setup.reference.number("momentum")),
    weightDecay: setup.reference.number("weight_decay"), clip: 0)
  let losses = try setup.fixture.doubles("losses")
  let range = network.trainedRange(network.phase(epoch: 1))
  for step in 1...losses.count {
    try setup.load(pass)
    let outcome = pass.run(network.phase(epoch: step), at: setup.place(step))
    #expect(abs(outcome.loss - losses[step - 1]) < 1e-4 * max(1, abs(losses[step - 1])))
    optimizer.step(range, learningRate: setup.reference.number("lr"), norm: optimizer.gradientNorm(range))
    pass.lanes.commitStatistics()
  }
  for parameter in store.parameters {
    let expected = try setup.fixture.doubles("trained/\(parameter.name)")
    let error = difference(
      store.fileValues(of: parameter, in: store.values), expected, scale: max(expected.map(abs).max() ?? 0, 0.1))
    noteDifference("weights of F-CAM's decoder after four steps", reference: "PyTorch, double", error, limit: 1e-4)
    #expect(error < 1e-4, "\(parameter.name)")
  }
  for statistic in store.statistics {
    let found = Array(UnsafeBufferPointer(start: statistic.values, count: statistic.count))
    #expect(difference(found, try setup.fixture.doubles("trained/\(statistic.name)")) < 1e-4, "\(statistic.name)")
  }
}

@Test(arguments: variants) func theStatedProductsOfADecodersStepAreTheOnesThatAreMade(variant: String) throws {
  let setup = try Setup(variant)
  let pass = setup.makePass()
  for isLive in [true, false] {
    try setup.load(pass)
    for (index, label) in setup.labels.enumerated() {
      pass.set(index, label: label, input: isLive ? .pixels : .features(tail: setup.network.encoder.depth))
    }
    let made = ProductCount.made { _ = pass.run(setup.network.phase(epoch: 1), at: setup.place(1)) }
    let stated = setup.network.trainingProducts(setup.network.phase(epoch: 1), isLive: isLive)
    #expect(made.flop == stated.flop * Double(setup.labels.count), "live \(isLive)")
  }
}

/// The lattice approximates: within 15% of the sum over all pairs of pixels, and its gradient within 15% of that one's,
/// by their norms. It is low by about the same for every picture, which only changes the term's weight a little.
@Test(arguments: ["fcam", "fcam-no-skips"]) func theCRFIsTheLatticesAndNearTheSumOverAllPairs(variant: String) throws {
  let setup = try Setup(variant)
  let pixels = setup.side * setup.side
  let memory = Buffer(PermutohedralLattice.count(pixels: pixels))
  let colours = try setup.fixture.bytes("pixels").map { Float($0) }
  let s = try setup.fixture.floats("crf/s")
  for sample in setup.labels.indices {
    func slopes(_ name: String) throws -> [Double] {
      Array(try setup.fixture.doubles("crf/\(name)_slope")[(sample * 2 * pixels)..<((sample + 1) * 2 * pixels)])
    }
    var gradient = [Float](repeating: 0, count: 2 * pixels)
    var form = 0.0
    var lattice = PermutohedralLattice(memory.base, pixels: pixels)
    colours.withUnsafeBufferPointer { colours in
      s.withUnsafeBufferPointer { s in
        gradient.withUnsafeMutableBufferPointer { gradient in
          guard let c = colours.baseAddress, let s = s.baseAddress else { return }
          lattice.build(
            side: setup.side, colours: c + sample * 3 * pixels, sigmaXY: Float(setup.options.sigmaXY),
            sigmaRGB: Float(setup.options.sigmaRGB))
          form = lattice.quadraticForm(s + sample * 2 * pixels, gradient: gradient.baseAddress, factor: 1)
        }
      }
    }
    let own = try setup.fixture.doubles("crf/lattice")[sample]
    #expect(abs(form - own) < 1e-4 * own)
    #expect(difference(gradient, try slopes("lattice")) < 1e-4)

    let exact = try setup.fixture.doubles("crf/gauss")[sample]
    #expect(form > 0.85 * exact && form < 1.05 * exact, "\(form / exact)")
    let pairs = try slopes("gauss")
    let apart = zip(gradient, pairs).reduce(0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }.squareRoot()
    let error = apart / pairs.reduce(0) { $0 + $1 * $1 }.squareRoot()
    noteDifference(
      "gradient of the dense CRF", reference: "sum over all pairs, double", unit: "of its norm", error, limit: 0.15)
    #expect(error < 0.15)
  }
}
