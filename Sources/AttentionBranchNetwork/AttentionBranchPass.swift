import Branches
import Encoder
import Lanes
import Layers
import Networks
import Tensor

/// The training pass of an attention branch network.
final class AttentionBranchPass: NetworkPass {
  let lanes: LanePass
  private let model: AttentionBranchModel
  private let at: AttentionBranchLayout

  // The parts of the loss.
  private static let perceptionLoss = 0
  private static let attentionLoss = 1

  init(_ model: AttentionBranchModel, plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) {
    self.model = model
    at = AttentionBranchLayout(model, isTraining: true)
    lanes = LanePass(
      plan,
      room: LanePass.Room(
        sample: at.count, scratch: at.scratchCount, segments: model.perception.segments + model.attention.segments,
        losses: 2),
      gradients: model.parameters.gradients, team: team, exchange: exchange)
  }

  var trace: EncoderTrace { at.trace }

  func run(_ phase: Phase, at place: StepPlace) -> StepOutcome {
    let (attention, perception) = (model.attention, model.perception)
    lanes.beginStep(at: place)
    attention.forward(lanes, at.attention) { sample, m, scratch in
      at.trace.forward(sample.input, m, scratch: scratch)
      return at.h(m)
    }
    perception.forward(lanes, at.perception, h: at.h) { sample, m, _ in
      attention.finishAlpha(m, at.attention, draw: lanes.draw("attention.dropout", sample))
      return at.makeFactors(m)
    }
    addLosses()

    perception.backward(lanes, at.perception) { m, slot, scratch in
      perception.backwardFirst(
        nil, dAlpha: m + at.attention.dAlpha, m, at.perception, h: at.h(m), alpha: at.factors(m), slot: slot,
        scratch: scratch)
    }
    attention.backward(lanes, at.attention) { m, slot, scratch in
      attention.backwardStem(nil, m, at.attention, hSBN: at.h(m), slot: slot, scratch: scratch)
    }
    lanes.endStep(trained: model.trainedRange(phase))
    let (pb, ab) = (lanes.loss(Self.perceptionLoss), lanes.loss(Self.attentionLoss))
    return StepOutcome(
      loss: pb + model.options.lambda * ab, parts: [LossPart("pb", pb), LossPart("ab", ab)], correct: lanes.correct)
  }

  private func addLosses() {
    let (C, lambda) = (model.classes, model.options.lambda)
    lanes.region(.perceptionBranch) { sample, m, _ in
      model.perception.forwardLogits(m, at.perception, draw: lanes.draw("perception.dropout", sample))
      let logits = m + at.perception.logits
      lanes.addCrossEntropy(Self.perceptionLoss, sample, logits, dLogits: m + at.perception.dLogits, classes: C)
      lanes.countIfRight(sample, logits, classes: C)
      lanes.addCrossEntropy(
        Self.attentionLoss, sample, m + at.attention.logits, dLogits: m + at.attention.dLogits, classes: C,
        weight: lambda)
    }
    lanes.finishLosses()
  }
}

/// The forward pass for one image at a time, by the running statistics.
final class AttentionBranchInference: NetworkInference, @unchecked Sendable {
  private let model: AttentionBranchModel
  private let at: AttentionBranchLayout
  let memory: Buffer
  private let scratch: Buffer

  init(_ model: AttentionBranchModel) {
    self.model = model
    at = AttentionBranchLayout(model, isTraining: false)
    memory = Buffer(at.count)
    scratch = Buffer(at.scratchCount)
  }

  var trace: EncoderTrace { at.trace }

  /// α.
  var map: ConstFloats? { ConstFloats(memory.base + at.attention.alpha) }

  private var logits: ConstFloats { ConstFloats(memory.base + at.perception.logits) }

  func run(_ input: SampleInput) {
    let m = memory.base
    at.trace.forward(input, m, scratch: scratch.base)
    model.attention.infer(m, at.attention, hSBN: at.h(m), scratch: scratch.base)
    model.perception.infer(m, at.perception, h: at.h(m), alpha: at.makeFactors(m), scratch: scratch.base)
  }

  func probabilities() -> [Float] { Branches.probabilities(logits, classes: model.classes) }

  func summedLogits() -> [Float] {
    (0..<model.classes).map { logits[$0] + memory.base[at.attention.logits + $0] }
  }

  /// CE(PB) of a label.
  func loss(label: Int, imageID: Int) -> Double { crossEntropy(logits, label: label, classes: model.classes) }
}

extension AttentionBranchInference: DifferentiableInference {
  var activations: ConstFloats { model.perception.input(memory.base, at.perception, h: at.h(memory.base)) }

  func gradient(ofLogit label: Int) -> ConstFloats {
    ConstFloats(
      model.perception.inferBackward(
        ofLogit: label, memory.base, at.perception, alpha: at.factors(memory.base), scratch: scratch.base))
  }
}
