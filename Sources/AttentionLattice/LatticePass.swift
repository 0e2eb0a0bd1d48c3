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
      [model.perception.segment, model.attention.segment, model.side.rootSegment] + model.side.layerSegments
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

  public func patches(_ index: Int) -> Floats { at.patches(lanes.memory(index)) }
  public func tail(_ index: Int) -> Floats { lanes.memory(index) + at.encoder.tail }
  public func feature(_ layer: Int, _ index: Int) -> Floats { at.tokens(layer, lanes.memory(index)) }

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
    backwardEncoder(phase)
    lanes.endStep(trained: model.trainedRange(phase))
    return outcome(phase)
  }

  // MARK: Forward

  /// α of the encoder's features: the side branch, then the attention branch up to its last norm.
  private func forwardAttention() {
    let (side, attention) = (model.side, model.attention)
    let N = model.encoder.patchCount
    lanes.forward(.attentionBranch, attention.stemNorm, rows: N) { sample, m, scratch in
      at.trace.forward(sample.input, m, at.encoder, scratch: scratch)
      Profile.of(.sideBranch) {
        side.forward(
          m, at.side, patches: at.patches(m), feature: { ConstFloats(at.tokens($0, m)) }, scratch: scratch)
      }
      return attention.forwardStem(m, at.attention, hSBN: at.hSBN(m), scratch: scratch)
    }
    lanes.forward(.attentionBranch, attention.mapsNorm, rows: N) { _, m, scratch in
      attention.forwardMaps(m, at.attention, scratch: scratch)
    }
    lanes.forward(.attentionBranch, attention.alphaNorm, rows: N) { _, m, scratch in
      attention.forwardAlpha(m, at.attention, scratch: scratch)
    }
  }

  /// The logits of h⁽ᵏ⁾ ⊙ h_AB.
  private func forwardPerception(_ phase: Phase) {
    let (attention, perception) = (model.attention, model.perception)
    let usesAttention = phase.usesAttention
    lanes.forward(.perceptionBranch, perception.stages[0].norm, rows: cells(0)) { sample, m, scratch in
      if usesAttention {
        Profile.of(.attentionBranch) {
          attention.finishAlpha(m, at.attention, draw: lanes.draw("attention.dropout", sample))
        }
      } else {
        at.trace.forward(sample.input, readsLayers: false, m, at.encoder, scratch: scratch)
      }
      let x = perception.prepareInput(m, at.perception, h: at.h(m))
      return perception.forwardFirst(
        m, at.perception, input: x, alpha: usesAttention ? ConstFloats(at.alpha(m)) : nil, scratch: scratch)
    }
    for index in 1..<max(perception.stages.count, 1) {
      lanes.forward(.perceptionBranch, perception.stages[index].norm, rows: cells(index)) { _, m, scratch in
        perception.forwardStage(index, m, at.perception, scratch: scratch)
      }
    }
  }

  /// The grid cells of a stage of the perception branch.
  private func cells(_ stage: Int) -> Int { model.perception.stages[stage].grid * model.perception.stages[stage].grid }

  /// CE(PB) and CE(AB), and their gradients in the branches' `dLogits`.
  private func addLosses(_ phase: Phase) {
    let perception = model.perception
    let (C, lambda, usesAttention) = (model.classes, model.options.lambda, phase.usesAttention)
    let scale = 1 / Double(lanes.plan.batch)
    lanes.region(.perceptionBranch) { sample, m, _ in
      perception.forwardLogits(m, at.perception, draw: lanes.draw("perception.dropout", sample))
      let logits = m + at.perception.logits
      lanes.addLoss(Self.perceptionLoss, sample, crossEntropy(logits, label: sample.label, classes: C))
      crossEntropyBackward(
        m + at.perception.dLogits, logits, label: sample.label, classes: C, scale: Float(scale))
      if largest(logits, C) == sample.label { lanes.addCorrect(sample) }
      guard usesAttention else { return }
      let own = m + at.attention.logits
      lanes.addLoss(Self.attentionLoss, sample, crossEntropy(own, label: sample.label, classes: C))
      crossEntropyBackward(
        m + at.attention.dLogits, own, label: sample.label, classes: C, scale: Float(scale * lambda))
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
    let last = perception.stages.count - 1
    let (N, D) = (model.encoder.patchCount, model.encoder.width)
    let (trainsEncoder, usesAttention) = (trainsEncoder, phase.usesAttention)
    lanes.segment(perception.segment) {
      lanes.backward(.perceptionBranch, perception.stages[last].norm, rows: cells(last)) { _, m, slot, scratch in
        perception.backwardLogits(m, at.perception, slot: slot, scratch: scratch)
      }
      for index in stride(from: last, to: 0, by: -1) {
        lanes.backward(.perceptionBranch, perception.stages[index - 1].norm, rows: cells(index - 1)) {
          _, m, slot, scratch in
          perception.backwardStage(index, m, at.perception, slot: slot, scratch: scratch)
        }
      }
      lanes.region(.perceptionBranch) { _, m, slot, scratch in
        let dh = m + at.encoder.gradient
        if trainsEncoder { clear(dh, (N + 1) * D) }
        perception.backwardFirst(
          trainsEncoder ? dh + D : nil, dAlpha: usesAttention ? m + at.attention.dAlpha : nil, m, at.perception,
          h: at.h(m), alpha: usesAttention ? ConstFloats(at.alpha(m)) : nil, slot: slot, scratch: scratch)
      }
    }
  }

  /// From α and the branch's own logits to the gradient of h_SBN.
  private func backwardAttention() {
    let (side, attention) = (model.side, model.attention)
    let (N, D) = (model.encoder.patchCount, model.encoder.width)
    lanes.segment(attention.segment) {
      lanes.backward(.attentionBranch, attention.alphaNorm, rows: N) { _, m, _, _ in
        attention.backwardFinish(m, at.attention)
      }
      lanes.backward(.attentionBranch, attention.mapsNorm, rows: N) { _, m, slot, scratch in
        attention.backwardAlpha(m, at.attention, slot: slot, scratch: scratch)
      }
      lanes.backward(.attentionBranch, attention.stemNorm, rows: N) { _, m, slot, scratch in
        attention.backwardMaps(m, at.attention, slot: slot, scratch: scratch)
      }
      lanes.region(.attentionBranch) { _, m, slot, scratch in
        attention.backwardStem(
          m + at.side.gradient, m, at.attention, hSBN: at.hSBN(m), slot: slot, scratch: scratch)
        clear(m + at.side.positionGradient, N * side.width)
        for offset in at.encoder.featureGradients.values { clear(m + offset, (N + 1) * D) }
      }
    }
  }

  /// Down the side layers, each a segment, to the patch embedding and the positions.
  private func backwardSide() {
    let side = model.side
    let D = model.encoder.width
    for index in side.layers.indices.reversed() {
      lanes.segment(side.layerSegments[index]) {
        lanes.region(.sideBranch) { _, m, slot, scratch in
          side.backward(
            layer: index, m, at.side, feature: { ConstFloats(at.tokens($0, m)) },
            featureGradient: { layer in at.encoder.featureGradients[layer].map { m + $0 + D } }, slot: slot,
            scratch: scratch, encoderWidth: D)
        }
      }
    }
    lanes.segment(side.rootSegment) {
      lanes.region(.sideBranch) { _, m, slot, _ in
        side.backwardRoot(m, at.side, patches: at.patches(m), slot: slot)
      }
    }
  }

  private var trainsEncoder: Bool { model.encoder.firstLoRABlock <= model.encoder.depth }

  /// Down the blocks from k to the first with LoRA, each a segment.
  private func backwardEncoder(_ phase: Phase) {
    let usesAttention = phase.usesAttention
    for layer in stride(from: model.encoder.depth, through: model.encoder.firstLoRABlock, by: -1) {
      lanes.segment(blockSegments[layer - 1]) {
        lanes.region(.trainedBlocks) { _, m, slot, scratch in
          at.trace.backward(
            layer: layer, readsLayers: usesAttention, m, at.encoder, slot: slot, scratch: scratch)
        }
      }
    }
  }
}

/// The first of the largest.
private func largest(_ values: ConstFloats, _ count: Int) -> Int {
  var best = 0
  for index in 1..<max(count, 1) where values[index] > values[best] { best = index }
  return best
}
