import AttentionBranchNetwork
import Branches
import ClassActivation
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

/// The baselines' networks against PyTorch modules in double, trained by PyTorch's optimisers
/// (`scripts/fixtures/baselines.py`).

let variants = ["abn", "abn-replicate-layernorm", "cam", "cam-plain-sgd"]

/// A variant's network with its initial tensors, and its inputs.
private struct Setup: ReferenceNetwork {
  let fixture: Fixture
  let reference: ReferenceSettings
  let network: any Network
  let labels: [Int]

  init(_ variant: String, lanes: Int = 4) throws {
    fixture = try Fixture("\(variant).safetensors", testFile: #filePath)
    let s = try ReferenceSettings(fixture)
    reference = s
    let encoderOptions = EncoderOptions(
      weights: Fixture.path("\(variant).encoder.safetensors"), imageSide: s.integer("size"), heads: s.integer("heads"),
      loraBlocks: [])
    let file = try EncoderFile(encoderOptions)
    if s.text("kind") == "cam" {
      network = try ClassActivationModel(
        classes: s.integer("classes"), lanes: lanes, encoderOptions, on: file, training: true)
    } else {
      var options = AttentionBranchOptions(classes: s.integer("classes"))
      options.attention.kernel = s.integer("kernel")
      options.attention.padding = Padding(rawValue: s.text("padding")) ?? .zeros
      options.perception.channels = s.integers("channels")
      options.perception.inputNorm = PerceptionOptions.InputNorm(rawValue: s.text("input_norm")) ?? .none
      options.lambda = s.number("lambda")
      options.lanes = lanes
      network = try AttentionBranchModel(options, encoderOptions, on: file, training: true)
    }
    labels = try fixture.doubles("labels").map { Int($0) }
    try takeInitialTensors()
  }

  var trained: any Network { network }
}

@Test(.eachLibrary, arguments: variants) func everyValueOfABaselineAgreesWithPyTorch(variant: String) throws {
  let setup = try Setup(variant)
  let (N, C) = (setup.network.encoder.patchCount, setup.network.classes)
  let inference = setup.network.makeInference()
  for (sample, label) in setup.labels.enumerated() {
    func expected(_ name: String, _ count: Int, at place: Int) throws -> [Double] {
      Array(try setup.fixture.doubles("evaluation/\(name)")[(place * count)..<((place + 1) * count)])
    }
    try setup.patchify(sample, inference.patches)
    inference.run(.pixels)
    let logits = try expected("logits", C, at: sample)
    let total = logits.reduce(0) { $0 + exp($1) }
    #expect(difference(inference.probabilities(), logits.map { exp($0) / total }) < 1e-5)
    #expect(abs(inference.loss(label: label, imageID: sample) - (log(total) - logits[label])) < 1e-5)
    if let cam = inference as? ClassActivationInference {
      for c in 0..<C {
        #expect(difference(cam.classActivationMap(of: c), try expected("maps", N, at: sample * C + c)) < 1e-5)
      }
    } else {
      let map = try #require(inference.map)
      let alpha = Array(UnsafeBufferPointer(start: map, count: N))
      #expect(difference(alpha, try expected("alpha", N, at: sample)) < 1e-5)
      let sums = zip(logits, try expected("logits_ab", C, at: sample)).map { $0 + $1 }
      #expect(difference(inference.summedLogits(), sums) < 1e-5)
    }
  }
}

@Test(.eachLibrary, arguments: variants, [1, 4]) func everyGradientOfABaselineAgreesWithPyTorch(
  variant: String, lanes: Int
) throws {
  let setup = try Setup(variant, lanes: lanes)
  let pass = setup.makePass(threads: 2)
  try setup.load(pass)
  let phase = setup.network.phase(epoch: 1)
  let outcome = pass.run(phase, at: StepPlace(seed: 0, epoch: 1, step: 1))
  #expect(abs(outcome.loss - (try setup.fixture.doubles("loss")[0])) < 1e-5)
  let store = setup.network.parameters
  let all = try store.parameters.flatMap { try setup.fixture.doubles("grad/\($0.name)") }
  let largest = all.map(abs).max() ?? 0
  for parameter in store.parameters {
    let expected = try setup.fixture.doubles("grad/\(parameter.name)")
    let scale = max(expected.map(abs).max() ?? 0, largest * 1e-3)
    let found = store.fileValues(of: parameter, in: store.gradients)
    let error = difference(found, expected, scale: scale)
    noteDifference("every gradient of the baselines", reference: "PyTorch, double", error, limit: 1e-4)
    #expect(error < 1e-4, "\(parameter.name)")
  }
}

@Test(.eachLibrary, arguments: variants) func fourEpochsOfABaselineAgreeWithPyTorch(variant: String) throws {
  let setup = try Setup(variant)
  let pass = setup.makePass()
  let (network, store) = (setup.network, setup.network.parameters)
  let isSGD = setup.reference.text("optimizer") == "sgd"
  let optimizer = Optimizer(
    store, team: ThreadTeam(threads: 1), rule: isSGD ? .sgd(momentum: setup.reference.number("momentum")) : .adamW,
    weightDecay: setup.reference.number("weight_decay"), clip: setup.reference.number("clip"))
  let losses = try setup.fixture.doubles("losses")
  var travel = 0.0
  for epoch in 1...losses.count {
    let phase = network.phase(epoch: epoch)
    try setup.load(pass)
    let outcome = pass.run(phase, at: StepPlace(seed: 0, epoch: epoch, step: epoch))
    #expect(abs(outcome.loss - losses[epoch - 1]) < 1e-5)
    let rate =
      setup.reference.number("lr") * pow(1 - Double(epoch - 1) / Double(losses.count), setup.reference.number("power"))
    travel += rate
    optimizer.step(
      network.trainedRange(phase), learningRate: rate, norm: optimizer.gradientNorm(network.trainedRange(phase)))
    pass.lanes.commitStatistics()
  }
  for parameter in store.parameters {
    let expected = try setup.fixture.doubles("trained/\(parameter.name)")
    let scale = max(expected.map(abs).max() ?? 0, travel)
    let error = difference(store.fileValues(of: parameter, in: store.values), expected, scale: scale)
    noteDifference("weights of the baselines after four epochs", reference: "PyTorch, double", error, limit: 1e-4)
    #expect(error < 1e-4, "\(parameter.name)")
  }
  for statistic in store.statistics {
    let found = Array(UnsafeBufferPointer(start: statistic.values, count: statistic.count))
    #expect(difference(found, try setup.fixture.doubles("trained/\(statistic.name)")) < 1e-4, "\(statistic.name)")
  }
}

@Test(arguments: variants) func theStatedProductsOfABaselinesStepAreTheOnesThatAreMade(variant: String) throws {
  let setup = try Setup(variant)
  let pass = setup.makePass()
  let network = setup.network
  func flop(_ count: ProductCount) -> Double { count.flop }
  for isLive in [true, false] {
    try setup.load(pass)
    for (index, label) in setup.labels.enumerated() {
      pass.set(index, label: label, input: isLive ? .pixels : .features(tail: network.encoder.depth))
    }
    let phase = network.phase(epoch: 1)
    let made = ProductCount.made { _ = pass.run(phase, at: StepPlace(seed: 0, epoch: 1, step: 1)) }
    let stated = network.trainingProducts(phase, isLive: isLive)
    #expect(flop(made) == flop(stated) * Double(setup.labels.count), "live \(isLive)")
  }
}

@Test(.eachLibrary, arguments: variants) func gradientsOfABaselinesLogitsByThePatchesFeaturesAgreeWithPyTorch(
  variant: String
) throws {
  let setup = try Setup(variant)
  let network = setup.network
  let inference = try #require(network.makeInference() as? any DifferentiableInference)
  let count = network.encoder.patchCount * network.encoder.width
  var gradients: [Float] = []
  for (sample, label) in setup.labels.enumerated() {
    try setup.patchify(sample, inference.patches)
    inference.run(.pixels)
    gradients += Array(UnsafeBufferPointer(start: inference.gradient(ofLogit: label), count: count))
  }
  let expected = try Fixture("explanations.safetensors", testFile: #filePath).doubles("\(variant)/gradient")
  #expect(difference(gradients, expected) < 1e-4)
}
