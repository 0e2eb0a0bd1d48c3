import AttentionLattice
import Branches
import Encoder
import Foundation
import Lanes
import Layers
import Networks
import ReferenceSupport
import Tensor
import TestSupport
import Testing
import Training

/// The whole model against an independent PyTorch implementation in double (`scripts/fixtures/model.py`).

let variants = [
  "clip", "vit", "huggingface-several", "fusion-above-lora", "fusion-none", "fusion-san", "lora-none", "aea-off",
  "start-ones", "minmax", "replicate-kernel1-layernorm",
]

/// A variant's model with its initial tensors, and its inputs.
struct Setup: ReferenceNetwork {
  let fixture: Fixture
  let reference: ReferenceSettings
  let model: LatticeModel
  let labels: [Int]

  init(_ variant: String, lanes: Int = 4, loraPhases: Set<Phase> = [.alpha, .ones]) throws {
    fixture = try Fixture("\(variant).safetensors", testFile: #filePath)
    let s = try ReferenceSettings(fixture)
    reference = s
    var options = ModelOptions(
      encoder: EncoderOptions(
        weights: Fixture.path("\(variant).encoder.safetensors"), imageSide: s.integer("size"),
        heads: s.integer("heads"),
        loraBlocks: s.integers("lora_blocks"), loraRank: s.integer("rank"), loraScale: 1),
      classes: s.integer("classes"))
    options.side.width = s.integer("side_width")
    options.side.heads = s.integer("side_heads")
    options.side.layers = s.integer("side_layers")
    options.side.fusion = s.integers("fusion")
    options.attention.head = AttentionOptions.Head(rawValue: s.text("head")) ?? .abn
    options.attention.kernel = s.integer("kernel")
    options.attention.padding = Padding(rawValue: s.text("padding")) ?? .zeros
    options.perception.channels = s.integers("channels")
    options.perception.inputNorm = PerceptionOptions.InputNorm(rawValue: s.text("input_norm")) ?? .none
    options.lanes = lanes
    options.loraPhases = loraPhases
    options.alternates = s.flag("aea") ?? true
    options.firstPhase = s.text("aea_start") == "ones" ? .ones : .alpha
    model = try LatticeModel(options, training: true)
    labels = try fixture.doubles("labels").map { Int($0) }
    try takeInitialTensors()
  }

  var trained: any Network { model }
}

/// Expects a difference below the limit, and notes it.
private func expect(_ quantity: String, of detail: String = "", _ difference: Double, below limit: Double) {
  noteDifference(quantity, reference: "PyTorch, double", difference, limit: limit)
  #expect(difference < limit, "\(quantity) \(detail)")
}

private func values(_ p: ConstFloats, _ count: Int) -> [Float] { Array(UnsafeBufferPointer(start: p, count: count)) }

/// A sample's part of a reference [B, C, g, g], as token-major [N, C].
private func tokenMajor(_ all: [Double], _ sample: Int, channels C: Int, cells N: Int) -> [Double] {
  (0..<(N * C)).map { all[(sample * C + $0 % C) * N + $0 / C] }
}

@Test(.eachLibrary, arguments: variants) func everyIntermediateAgreesWithPyTorch(variant: String) throws {
  let setup = try Setup(variant)
  let (fixture, model) = (setup.fixture, setup.model)
  let inference = LatticeInference(model, keepsSideLayers: true)
  let pixels = try fixture.bytes("pixels")
  let size = pixels.count / setup.labels.count
  let (T, D, N) = (model.encoder.tokens, model.encoder.width, model.encoder.patchCount)
  let (C, d) = (model.options.classes, model.options.side.width)
  let kept = Set(model.frozenLayers + [model.encoder.firstLoRABlock - 1])
    .union(
      model.encoder.firstLoRABlock <= model.encoder.depth
        ? Array(model.encoder.firstLoRABlock...model.encoder.depth) : [])
  func slice(_ name: String, _ sample: Int, _ count: Int) throws -> [Double] {
    Array(try fixture.doubles(name)[(sample * count)..<((sample + 1) * count)])
  }
  for sample in setup.labels.indices {
    pixels.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { model.encoder.patchify(inference.patches, pixels: base + sample * size) }
    }
    inference.run(.pixels)
    for layer in kept {
      let expected = try slice("alpha/forward/h\(layer)", sample, T * D)
      expect("h(i)", of: "\(layer)", difference(values(inference.hidden(layer), T * D), expected), below: 1e-4)
    }
    for layer in 1...model.options.side.layers {
      let expected = try slice("alpha/forward/side_input.\(layer)", sample, N * d)
      expect(
        "input of each SBN layer", of: "\(layer)", difference(values(inference.sideLayerInput(layer), N * d), expected),
        below: 1e-4)
    }
    let side = try slice("alpha/forward/h_sbn", sample, N * d)
    expect("h_SBN", difference(values(inference.hSBN, N * d), side), below: 1e-4)
    let z = tokenMajor(try fixture.doubles("evaluation/z"), sample, channels: d, cells: N)
    expect("z", difference(values(inference.z, N * d), z), below: 1e-4)
    let F = tokenMajor(try fixture.doubles("evaluation/F"), sample, channels: C, cells: N)
    expect("F", difference(values(inference.F, N * C), F), below: 1e-4)
    expect("alpha", difference(values(inference.alpha, N), try slice("evaluation/alpha", sample, N)), below: 1e-4)
    expect(
      "logits of AB", difference(values(inference.attentionLogits, C), try slice("evaluation/logits_ab", sample, C)),
      below: 1e-4)
    expect(
      "logits of PB", difference(values(inference.logits, C), try slice("evaluation/logits_pb", sample, C)), below: 1e-4
    )
  }
}

@Test(.eachLibrary, arguments: variants, [1, 4]) func lossAndEveryGradientAgreeWithPyTorch(variant: String, lanes: Int)
  throws
{
  let setup = try Setup(variant, lanes: lanes)
  let pass = setup.makePass(threads: 2)
  for phase in setup.model.phases {
    try setup.load(pass)
    let outcome = pass.run(phase, at: StepPlace(seed: 0, epoch: 1, step: 1))
    pass.lanes.discardStatistics()
    let expectedLoss = try setup.fixture.doubles("\(phase.name)/loss")[0]
    expect("loss", of: "\(phase)", abs(outcome.loss - expectedLoss) / max(1, abs(expectedLoss)), below: 1e-5)
    let store = setup.model.parameters
    let names = setup.fixture.names(below: "\(phase.name)/grad/")
    let trained = store.parameters.filter { setup.model.trainedRange(phase).contains($0.offset) }
    #expect(Set(names) == Set(trained.map(\.name)), "what \(phase) trains")
    let all = try names.flatMap { try setup.fixture.doubles("\(phase.name)/grad/\($0)") }
    let largest = all.map(abs).max() ?? 0
    for parameter in trained {
      let expected = try setup.fixture.doubles("\(phase.name)/grad/\(parameter.name)")
      // The true gradient of a key's bias is zero: rounding noise is measured against the largest gradient.
      let scale = max(expected.map(abs).max() ?? 0, largest * 1e-3)
      let found = store.fileValues(of: parameter, in: store.gradients)
      expect("every gradient", of: "\(phase) \(parameter.name)", difference(found, expected, scale: scale), below: 1e-4)
    }
  }
}

@Test(.eachLibrary, arguments: variants) func fourEpochsOfTrainingAgreeWithPyTorch(variant: String) throws {
  let setup = try Setup(variant)
  let s = setup.reference
  let pass = setup.makePass()
  let store = setup.model.parameters
  let optimizer = Optimizer(
    store, team: ThreadTeam(threads: 1), weightDecay: s.number("weight_decay"), clip: s.number("clip"))
  let (losses, norms, rates) = (
    try setup.fixture.doubles("losses"), try setup.fixture.doubles("grad_norms"), try setup.fixture.doubles("lrs")
  )
  for epoch in 1...losses.count {
    let phase = setup.model.phase(epoch: epoch)
    try setup.load(pass)
    let outcome = pass.run(phase, at: StepPlace(seed: 0, epoch: epoch, step: epoch))
    let norm = optimizer.gradientNorm(setup.model.trainedRange(phase))
    expect(
      "losses of four epochs", of: "\(epoch)", abs(outcome.loss - losses[epoch - 1]) / max(1, abs(losses[epoch - 1])),
      below: 1e-5)
    expect(
      "gradient norms of four epochs", of: "\(epoch)", abs(norm - norms[epoch - 1]) / norms[epoch - 1], below: 1e-4)
    let rate = s.number("lr") * pow(1 - Double(epoch - 1) / Double(losses.count), s.number("power"))
    #expect(abs(rate - rates[epoch - 1]) < 1e-12)
    optimizer.step(setup.model.trainedRange(phase), learningRate: rate, norm: norm)
    pass.lanes.commitStatistics()
  }
  // Some true gradients are zero (a key's bias; a bias that a norm removes). AdamW enlarges their rounding noise to
  // steps of the learning rate, in the reference as here, so that such a tensor's direction says nothing.
  let travel = rates.reduce(0, +)
  var gradients: [String: Double] = [:]
  for name in setup.fixture.names(below: "alpha/grad/") {
    gradients[name] = try setup.fixture.doubles("alpha/grad/\(name)").map(abs).max()
  }
  let largest = gradients.values.max() ?? 0
  for parameter in store.parameters {
    let expected = try setup.fixture.doubles("trained/\(parameter.name)")
    let scale = max(expected.map(abs).max() ?? 0, travel)
    let found = store.fileValues(of: parameter, in: store.values)
    let isNoise = gradients[parameter.name] ?? 0 < largest * 1e-9
    let error = difference(found, expected, scale: scale)
    if isNoise {
      #expect(error < 2, "\(parameter.name)")
    } else {
      expect("weights after four epochs", of: parameter.name, error, below: 1e-4)
    }
  }
  for statistic in store.statistics {
    let expected = try setup.fixture.doubles("trained/\(statistic.name)")
    expect(
      "running statistics after four epochs", of: statistic.name,
      difference(values(statistic.values, statistic.count), expected),
      below: 1e-4)
  }
}

@Test(arguments: [Phase.alpha, .ones])
func aPhaseThatDoesNotTrainLoRALeavesItAloneAndMakesTheOtherGradientsAsBefore(resting: Phase) throws {
  let setup = try Setup("fusion-above-lora", loraPhases: Set([.alpha, .ones]).subtracting([resting]))
  let (pass, model) = (setup.makePass(), setup.model)
  let store = model.parameters
  for phase in model.phases {
    try setup.load(pass)
    let made = ProductCount.made { _ = pass.run(phase, at: StepPlace(seed: 0, epoch: 1, step: 1)) }
    pass.lanes.discardStatistics()
    #expect(made.flop == model.trainingProducts(phase, isLive: true).flop * Double(setup.labels.count))
    let trained = store.parameters.filter { model.trainedRange(phase).contains($0.offset) }
    #expect(trained.contains { $0.group.name == "lora" } == (phase != resting))
    for parameter in trained where parameter.group.name == "perception" {
      let expected = try setup.fixture.doubles("\(phase.name)/grad/\(parameter.name)")
      #expect(difference(store.fileValues(of: parameter, in: store.gradients), expected) < 1e-4, "\(parameter.name)")
    }
  }
}

@Test(.eachLibrary) func anEvenEpochLeavesSideAndAttentionBranchBitForBit() throws {
  let setup = try Setup("clip")
  let pass = setup.makePass()
  let store = setup.model.parameters
  let optimizer = Optimizer(store, team: ThreadTeam(threads: 1), weightDecay: 0.1, clip: 0)
  func frozen() -> [Float] {
    store.parameters.filter { ["side", "attention"].contains($0.group.name) }.flatMap { parameter in
      [store.values, store.firstMoments, store.secondMoments].flatMap { store.fileValues(of: parameter, in: $0) }
    } + store.statistics.filter { $0.name.hasPrefix("attention.") }.flatMap { values($0.values, $0.count) }
      + zip(store.parameters, store.steps).filter { ["side", "attention"].contains($0.0.group.name) }.map {
        Float($0.1)
      }
  }
  func step(_ phase: Phase, _ number: Int) throws {
    try setup.load(pass)
    _ = pass.run(phase, at: StepPlace(seed: 0, epoch: 1, step: number))
    optimizer.step(
      setup.model.trainedRange(phase), learningRate: 1e-2, norm: optimizer.gradientNorm(setup.model.trainedRange(phase))
    )
    pass.lanes.commitStatistics()
  }
  try step(.alpha, 1)
  let before = frozen()
  let perception = values(store.values.base, store.count)
  try step(.ones, 2)
  #expect(frozen().map(\.bitPattern) == before.map(\.bitPattern))
  #expect(values(store.values.base, store.count) != perception)
  try step(.alpha, 3)
  #expect(frozen() != before)
}

@Test(.eachLibrary, arguments: [true, false]) func resultsDoNotDependOnTheNumberOfThreads(dropsOut: Bool) throws {
  func digest(_ threads: Int) throws -> [UInt32] {
    let setup = try Setup("clip")
    let pass = setup.makePass(threads: threads)
    try setup.load(pass)
    _ = pass.run(.alpha, at: StepPlace(seed: dropsOut ? 1 : 0, epoch: 1, step: 1))
    return values(setup.model.parameters.gradients.base, setup.model.parameters.count).map(\.bitPattern)
  }
  #expect(try digest(1) == digest(2))
  #expect(try digest(1) == digest(3))
}
