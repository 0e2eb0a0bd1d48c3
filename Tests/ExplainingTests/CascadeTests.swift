import AttentionLattice
import Encoder
import Experiments
import Explaining
import Failures
import Networks
import Settings
import Tensor
import TestSupport
import Testing

/// The cascade of parameter randomisation, and which method notices which part's loss.

/// A method that notes the network that it is given.
private final class Witness: ExplanationMethod, @unchecked Sendable {
  let facts = MethodFacts(name: "witness", title: "Witness", source: nil)
  private(set) var network: (any Network)?

  func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    network = subject.network
    return { _ in preconditionFailure("makes no map") }
  }
}

private func values(_ network: any Network) -> [String: [Float]] {
  let store = network.parameters
  return Dictionary(
    uniqueKeysWithValues: store.parameters.map { ($0.name, store.fileValues(of: $0, in: store.values)) }
      + store.statistics.map { ($0.name, Array(UnsafeBufferPointer(start: $0.values, count: $0.count))) })
}

/// The frozen weight of a block's map.
private func frozen(_ network: any Network, block: Int) -> [Float] {
  let map = network.encoder.blocks[block - 1].fc1
  return Array(UnsafeBufferPointer(start: map.weight.values, count: map.inputs * map.outputs))
}

@Test func theCascadeTakesTheTrainingOutOfOnePartAfterAnother() throws {
  let subject = try Subject([])
  let model = subject.experiment.model
  for statistic in model.parameters.statistics { statistic.values[0] = 0.3 }
  let trained = values(model)
  let file = (1...model.encoder.depth).map { frozen(model, block: $0) }
  let witness = Witness()
  let cascade = try RandomisationCascade(witness, of: subject.explained)
  #expect(
    cascade.stages == ["classifier", "perception", "attention", "side", "block_4", "block_3", "block_2", "block_1"])
  let prefixes = [
    "perception.classifier.", "perception.", "attention.", "side.", "encoder.blocks.4.", "encoder.blocks.3.",
    "encoder.blocks.2.", "encoder.blocks.1.",
  ]
  for (stage, name) in cascade.stages.enumerated() {
    _ = try cascade.advance(share: nil).prepare(subject.explained)
    let network = try #require(witness.network)
    for (tensor, now) in values(network) {
      let isReached = prefixes[...stage].contains { tensor.hasPrefix($0) }
      // Tensors that begin as constants may have no other start.
      let isConstant = trained[tensor]?.allSatisfy { $0 == 0 || $0 == 1 } ?? true
      if !isReached || !isConstant { #expect((now != trained[tensor]) == isReached, "\(name): \(tensor)") }
    }
    for block in 1...model.encoder.depth {
      let isReached = block + stage >= model.encoder.depth + 4
      #expect((frozen(network, block: block) != file[block - 1]) == isReached, "\(name): block \(block)")
    }
  }
  let last = frozen(try #require(witness.network), block: 1).map { Double($0) }
  let deviation = (last.reduce(0) { $0 + $1 * $1 } / Double(last.count)).squareRoot()
  // A normal of 0.02 that is cut at two deviations has a standard deviation of 0.0176.
  #expect(abs(deviation - 0.0176) < 0.0005 && last.allSatisfy { abs($0) <= 0.04 })
  #expect(values(model) == trained && (1...model.encoder.depth).map { frozen(model, block: $0) } == file)
}

@Test func aMapChangesOnlyWhereItsMethodReadsWhatIsLost() throws {
  let subject = try Subject([])
  // In its start LoRA changes nothing.
  let store = subject.experiment.model.parameters
  for parameter in store.parameters where parameter.name.hasSuffix("lora.B") { parameter.values[0] = 0.5 }
  let inference = subject.experiment.model.makeInference()
  inference.run(pixels: subject.view.pixels, subject.experiment.model.encoder)
  let view = ExplainedView(
    imageID: 0, pixels: subject.view.pixels,
    prediction: Prediction(inference, mapSide: subject.experiment.model.mapSide))
  for (method, firstRead) in [
    (AttentionMap.ala, "attention"), (GradCAM(), "classifier"), (AttentionRollout(), "block_4"),
  ]
    as [(any ExplanationMethod, String)]
  {
    let own = try method.prepare(subject.explained)(inference).map(view, target: 1).values
    let cascade = try RandomisationCascade(method, of: subject.explained)
    let first = try #require(cascade.stages.firstIndex(of: firstRead))
    for (stage, name) in cascade.stages.enumerated() {
      let worker = try cascade.advance(share: nil).prepare(subject.explained)(inference)
      let map = worker.map(view, target: 1).values
      #expect((map == own) == (stage < first), "\(method.facts.name): \(name)")
    }
  }
}

@Test func everyTensorOfANetworkButLoRAsIsOfAPart() throws {
  // F-CAM's needs a trained classifier: see `everyTensorOfADecoderIsOfAPart`.
  for kind in NetworkKind.allCases where kind != .fcam {
    let subject = try Subject(["model.kind=\(kind.rawValue)"])
    let network = subject.experiment.model
    for tensor in values(network).keys where !tensor.contains(".lora.") {
      #expect(network.parts.contains { tensor.hasPrefix($0.prefix) }, "\(kind): \(tensor)")
    }
  }
}

/// The gradient of a mean of linear values is the class's weight: Grad-CAM of it is CAM without what is negative.
@Test func gradCAMOfAClassifierOfMeansIsThePositivePartOfItsClassActivationMap() throws {
  let subject = try Subject(["model.kind=cam"])
  let inference = subject.experiment.model.makeInference()
  let gradCAM = try GradCAM().prepare(subject.explained)(inference).map(subject.view, target: 1).values
  let cam = try ClassActivationMap().prepare(subject.explained)(inference).map(subject.view, target: 1).values
  let patches = Double(subject.experiment.model.encoder.patchCount)
  #expect(difference(gradCAM, cam.map { max(Double($0), 0) / patches }) < 1e-5)
  #expect(cam.contains { $0 < 0 } && cam.contains { $0 > 0 })
}
