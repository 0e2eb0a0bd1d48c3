import Cluster
import Encoder
import Foundation
import Lanes
import Layers
import Networks
import Tensor
import TestSupport
import Testing
import Training

/// What every network's training pass is made of, and the protocol by which it is trained, with a network that is not
/// the lattice.

extension ParameterGroup {
  fileprivate static let classifier = ParameterGroup("classifier")
}

extension ProfiledPart {
  fileprivate static let classifier = ProfiledPart("classifier")
}

/// Global average pooling of h⁽ᵏ⁾ and a linear map, over the frozen encoder.
private final class PooledClassifier: Network, @unchecked Sendable {
  let kind = "pooled"
  let mapSide: Int? = nil
  let encoder: ImageEncoder
  let parameters = ParameterStore()
  let classes: Int
  let lanes: Int
  let frozenLayers: [Int] = []
  let parts = [NetworkPart("classifier", prefix: "classifier.")]
  let phases = [Phase("all", isValidated: true)]
  let linear: Linear

  init(weights: String, side: Int, heads: Int, classes: Int, lanes: Int) throws {
    self.classes = classes
    self.lanes = lanes
    encoder = try ImageEncoder(
      EncoderOptions(weights: weights, imageSide: side, heads: heads, loraBlocks: []), store: parameters)
    linear = Linear(
      parameters, "classifier", inputs: encoder.width, outputs: classes, group: .classifier, weight: .normal(0.02),
      bias: .zeros)
    try parameters.allocate(training: true)
    parameters.initialise(seed: 1)
  }

  func phase(epoch: Int) -> Phase { phases[0] }
  func trainedRange(_ phase: Phase) -> Range<Int> { 0..<parameters.count }
  func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount { ProductCount() }
  func makePass(_ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) -> any NetworkPass {
    Pass(self, plan, team: team, exchange: exchange)
  }
  func makeInference() -> any NetworkInference { preconditionFailure("the tests train only") }

  final class Pass: NetworkPass {
    let lanes: LanePass
    private let network: PooledClassifier
    let trace: EncoderTrace
    let pooled: Int
    private let logits: Int
    private let dLogits: Int

    init(_ network: PooledClassifier, _ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) {
      self.network = network
      var layout = Layout()
      trace = EncoderTrace(network.encoder, layers: [], isTraining: true, in: &layout)
      pooled = layout.take(network.encoder.width)
      logits = layout.take(network.classes)
      dLogits = layout.take(network.classes)
      lanes = LanePass(
        plan,
        room: LanePass.Room(
          sample: layout.count, scratch: trace.scratchCount, segments: [0..<network.parameters.count], losses: 1),
        gradients: network.parameters.gradients, team: team, exchange: exchange)
    }

    func run(_ phase: Phase, at place: StepPlace) -> StepOutcome {
      let (encoder, C, linear) = (network.encoder, network.classes, network.linear)
      lanes.beginStep(at: place)
      lanes.region(.classifier) { sample, m, scratch in
        trace.forward(sample.input, m, scratch: scratch)
        globalAveragePool(
          m + pooled, trace.patchTokens(encoder.depth, m), rows: encoder.patchCount, channels: encoder.width)
        linear.forward(m + logits, m + pooled, low: nil, rows: 1)
        lanes.addLoss(0, sample, crossEntropy(m + logits, label: sample.label, classes: C))
        crossEntropyBackward(
          m + dLogits, m + logits, label: sample.label, classes: C, scale: 1 / Float(lanes.plan.batch))
      }
      lanes.finishLosses()
      lanes.region(.classifier, summing: 0..<network.parameters.count) { _, m, slot, _ in
        linear.backward(nil, m + dLogits, m + pooled, low: nil, slot: slot, scratch: nil, rows: 1)
      }
      lanes.endStep(trained: network.trainedRange(phase))
      return StepOutcome(loss: lanes.loss(0), parts: [LossPart("ce", lanes.loss(0))], correct: lanes.correct)
    }
  }
}

/// The network, with images in a pass of its training step.
private func makeStep(lanes: Int, threads: Int) throws -> (PooledClassifier, TrainingStep) {
  let network = try PooledClassifier(
    weights: Fixture.path("clip.encoder.safetensors", testFile: #filePath), side: 24, heads: 2, classes: 3,
    lanes: lanes)
  let step = TrainingStep(
    network, batch: 5, team: ThreadTeam(threads: threads), cluster: try Cluster(), weightDecay: 0, clip: 0)
  let encoder = network.encoder
  step.pass.begin(batch: 5)
  for index in 0..<5 {
    for value in 0..<(encoder.patchCount * encoder.patchValues) {
      step.pass.patches(index)[value] = Float((value * 31 + index * 17) % 13) / 6 - 1
    }
    step.pass.set(index, label: index % 3, input: .pixels)
  }
  return (network, step)
}

@Test func anotherNetworkIsTrainedByTheSameStep() throws {
  let (network, step) = try makeStep(lanes: 2, threads: 2)
  let pass = try #require(step.pass as? PooledClassifier.Pass)
  let store = network.parameters
  let (D, C) = (network.encoder.width, network.classes)
  let before = store.parameters.map { store.fileValues(of: $0, in: store.values).map { Double($0) } }
  let result = step.run(network.phase(epoch: 1), at: StepPlace(seed: 0, epoch: 1, step: 1), learningRate: 1e-2)
  // The formulas in double, on the pooled features that the pass has made.
  var loss = 0.0
  var dWeight = [Double](repeating: 0, count: C * D)
  for index in 0..<5 {
    let x = (0..<D).map { Double(pass.lanes.memory(index)[pass.pooled + $0]) }
    let logits = (0..<C).map { c in before[1][c] + (0..<D).reduce(0) { $0 + before[0][c * D + $1] * x[$1] } }
    let total = logits.reduce(0) { $0 + exp($1) }
    loss += (log(total) - logits[index % 3]) / 5
    for c in 0..<C {
      for d in 0..<D { dWeight[c * D + d] += (exp(logits[c]) / total - (c == index % 3 ? 1 : 0)) * x[d] / 5 }
    }
  }
  #expect(abs(result.outcome.loss - loss) < 1e-6 && result.outcome.parts == [LossPart("ce", result.outcome.loss)])
  #expect(difference(store.fileValues(of: store.parameters[0], in: store.gradients), dWeight) < 1e-5)
  #expect(result.isUpdated && store.steps == [1, 1])
  step.pass.begin(batch: 5)
  for index in 0..<5 { step.pass.set(index, label: index % 3, input: .features(tail: 0)) }
  let again = step.run(network.phase(epoch: 1), at: StepPlace(seed: 0, epoch: 1, step: 2), learningRate: 1e-2)
  #expect(again.outcome.loss < result.outcome.loss, "from the tail that the first step has left")
}

@Test func aPhaseThatSumsOtherThanItTrainsIsStopped() async {
  await #expect(processExitsWith: .failure) {
    let (network, step) = try makeStep(lanes: 1, threads: 1)
    step.pass.lanes.beginStep(at: StepPlace(seed: 0, epoch: 1, step: 1))
    step.pass.lanes.region(.classifier, summing: 0..<1) { _, _, _, _ in }
    step.pass.lanes.endStep(trained: 0..<network.parameters.count)
  }
  await #expect(processExitsWith: .failure) {
    let (_, step) = try makeStep(lanes: 1, threads: 1)
    step.pass.lanes.beginStep(at: StepPlace(seed: 0, epoch: 1, step: 1))
    for _ in 0..<2 { step.pass.lanes.region(.classifier, summing: 0..<1) { _, _, _, _ in } }
    step.pass.lanes.endStep(trained: 0..<2)
  }
  await #expect(processExitsWith: .success) {
    let (_, step) = try makeStep(lanes: 1, threads: 1)
    step.pass.lanes.beginStep(at: StepPlace(seed: 0, epoch: 1, step: 1))
    for range in [1..<2, 0..<1] { step.pass.lanes.region(.classifier, summing: range) { _, _, _, _ in } }
    step.pass.lanes.endStep(trained: 0..<2)
  }
}
