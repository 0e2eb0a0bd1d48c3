import Branches
import Encoder
import Lanes
import Layers
import Networks
import Tensor

/// The lattice's training pass: a row of regions, forward as the paper goes, and back. Between them stand the batch
/// norms, three in the attention branch and one for each stage of the perception branch.
public final class LatticePass: NetworkPass {
  public let lanes: LanePass
  private let model: LatticeModel
  private let at: LatticeLayout
  /// The arena range of each encoder block's updates; empty where LoRA leaves it alone.
  private let blockSegments: [Range<Int>]

  // The parts of the loss.
  private static let perceptionLoss = 0
  private static let attentionLoss = 1

  init(_ model: LatticeModel, plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) {
    self.model = model
    at = LatticeLayout(model, isTraining: true, keepsSideLayers: true)
    blockSegments = model.encoder.blocks.map(Self.segment)
    let segments =
      model.perception.segments + model.attention.segments + [model.side.rootSegment] + model.side.layerSegments
      + blockSegments
    lanes = LanePass(
      plan, room: LanePass.Room(sample: at.count, scratch: at.scratchCount, segments: segments, losses: 2),
      gradients: model.parameters.gradients, team: team, exchange: exchange)
  }

  private static func segment(_ block: TransformerBlock) -> Range<Int> {
    let updates = [block.q, block.k, block.v, block.out, block.fc1, block.fc2].compactMap(\.lora)
    guard let first = updates.first, let last = updates.last else { return 0..<0 }
    return first.a.offset..<last.b.range.upperBound
  }

  public var trace: EncoderTrace { at.trace }

  // MARK: The step

  public func run(_ phase: Phase, at place: StepPlace) -> StepOutcome {
    lanes.beginStep(at: place)
    if phase.usesAttention { forwardAttention() }
    forwardPerception(phase)
    addLosses(phase)

    backwardPerception(phase)
    if phase.usesAttention {
      backwardAttention()
      backwardSide()
    }
    if model.trainsEncoder(phase) { backwardEncoder(phase) }
    lanes.endStep(trained: model.trainedRange(phase))
    return outcome(phase)
  }

  // MARK: Forward

  /// α of the encoder's features: the side branch, then the attention branch up to its last norm.
  private func forwardAttention() {
    let side = model.side
    model.attention.forward(lanes, at.attention) { sample, m, scratch in
      at.trace.forward(sample.input, m, scratch: scratch)
      Profile.of(.sideBranch) {
        side.forward(
          m, at.side, patches: at.trace.patches(m), feature: { ConstFloats(at.tokens($0, m)) }, scratch: scratch)
      }
      return ConstFloats(at.hSBN(m))
    }
  }

  /// The logits of h⁽ᵏ⁾ ⊙ h_AB.
  private func forwardPerception(_ phase: Phase) {
    let attention = model.attention
    let usesAttention = phase.usesAttention
    model.perception.forward(lanes, at.perception, h: { ConstFloats(at.h($0)) }) { sample, m, scratch in
      guard usesAttention else {
        at.trace.forward(sample.input, readsLayers: false, m, scratch: scratch)
        return nil
      }
      Profile.of(.attentionBranch) {
        attention.finishAlpha(m, at.attention, draw: lanes.draw("attention.dropout", sample))
      }
      return ConstFloats(at.alpha(m))
    }
  }

  /// CE(PB) and CE(AB), and their gradients in the branches' `dLogits`.
  private func addLosses(_ phase: Phase) {
    let perception = model.perception
    let (C, lambda, usesAttention) = (model.classes, model.options.lambda, phase.usesAttention)
    lanes.region(.perceptionBranch) { sample, m, _ in
      perception.forwardLogits(m, at.perception, draw: lanes.draw("perception.dropout", sample))
      let logits = m + at.perception.logits
      lanes.addCrossEntropy(Self.perceptionLoss, sample, logits, dLogits: m + at.perception.dLogits, classes: C)
      lanes.countIfRight(sample, logits, classes: C)
      guard usesAttention else { return }
      lanes.addCrossEntropy(
        Self.attentionLoss, sample, m + at.attention.logits, dLogits: m + at.attention.dLogits, classes: C,
        weight: lambda)
    }
    lanes.finishLosses()
  }

  private func outcome(_ phase: Phase) -> StepOutcome {
    let perception = lanes.loss(Self.perceptionLoss)
    let attention = phase.usesAttention ? lanes.loss(Self.attentionLoss) : nil
    return StepOutcome(
      loss: perception + (attention.map { model.options.lambda * $0 } ?? 0),
      parts: [LossPart("pb", perception), LossPart("ab", attention)], correct: lanes.correct)
  }

  // MARK: Backward

  /// From the logits to the gradients of h⁽ᵏ⁾, where the encoder is trained, and of α, where it is used.
  private func backwardPerception(_ phase: Phase) {
    let perception = model.perception
    let (N, D) = (model.encoder.patchCount, model.encoder.width)
    let (trainsEncoder, usesAttention) = (model.trainsEncoder(phase), phase.usesAttention)
    perception.backward(lanes, at.perception) { m, slot, scratch in
      let dh = at.trace.gradient(m)
      if trainsEncoder { clear(dh, (N + 1) * D) }
      perception.backwardFirst(
        trainsEncoder ? dh + D : nil, dAlpha: usesAttention ? m + at.attention.dAlpha : nil, m, at.perception,
        h: at.h(m), alpha: usesAttention ? ConstFloats(at.alpha(m)) : nil, slot: slot, scratch: scratch)
    }
  }

  /// From α and the branch's own logits to the gradient of h_SBN.
  private func backwardAttention() {
    let (side, attention) = (model.side, model.attention)
    let N = model.encoder.patchCount
    attention.backward(lanes, at.attention) { m, slot, scratch in
      attention.backwardStem(m + at.side.gradient, m, at.attention, hSBN: at.hSBN(m), slot: slot, scratch: scratch)
      clear(m + at.side.positionGradient, N * side.width)
      at.trace.clearFeatureGradients(m)
    }
  }

  /// Down the side layers to the patch embedding and the positions.
  private func backwardSide() {
    let side = model.side
    let D = model.encoder.width
    for index in side.layers.indices.reversed() {
      lanes.region(.sideBranch, summing: side.layerSegments[index]) { _, m, slot, scratch in
        side.backward(
          layer: index, m, at.side, feature: { ConstFloats(at.tokens($0, m)) },
          featureGradient: { at.trace.featureGradient($0, m).map { $0 + D } }, slot: slot,
          scratch: scratch, encoderWidth: D)
      }
    }
    lanes.region(.sideBranch, summing: side.rootSegment) { _, m, slot, _ in
      side.backwardRoot(m, at.side, patches: at.trace.patches(m), slot: slot)
    }
  }

  /// Down the blocks from k to the first with LoRA.
  private func backwardEncoder(_ phase: Phase) {
    let usesAttention = phase.usesAttention
    for layer in stride(from: model.encoder.depth, through: model.encoder.firstLoRABlock, by: -1) {
      lanes.region(.trainedBlocks, summing: blockSegments[layer - 1]) { _, m, slot, scratch in
        at.trace.backward(layer: layer, readsLayers: usesAttention, m, slot: slot, scratch: scratch)
      }
    }
  }
}
