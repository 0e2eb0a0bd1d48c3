import Branches
import Layers
import Networks
import Tensor

/// The matrix products of the model's work on one sample.
extension LatticeModel {
  /// The frozen blocks below LoRA (all, where `whole`), from pixels.
  public func encoderProducts(whole: Bool) -> ProductCount {
    encoder.frozenProducts(blocks: whole ? encoder.depth : encoder.firstLoRABlock - 1)
  }

  /// Inference from pixels.
  public func inferenceProducts() -> ProductCount {
    var count = encoderProducts(whole: true)
    branches(&count, .alpha, isBackward: false)
    return count
  }

  /// A training step's share of a sample.
  ///
  /// - Parameter isLive: from pixels; else from cached features.
  public func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount {
    var count = isLive ? encoderProducts(whole: false) : ProductCount()
    let live = encoder.blocks.dropFirst(encoder.firstLoRABlock - 1)
    for (index, block) in live.enumerated() {
      count.block(block, tokens: encoder.tokens, isBackward: false, isTrained: false)
      guard trainsEncoder(phase) else { continue }
      count.block(block, tokens: encoder.tokens, isBackward: true, needsInput: index > 0, isTrained: false)
    }
    branches(&count, phase, isBackward: false)
    branches(&count, phase, isBackward: true)
    return count
  }

  private func branches(_ count: inout ProductCount, _ phase: Phase, isBackward: Bool) {
    perception.addProducts(
      &count, isBackward: isBackward,
      needsInput: phase.usesAttention || trainsEncoder(phase))
    guard phase.usesAttention else { return }
    let N = encoder.patchCount
    count.linear(side.patch, rows: N, isBackward: isBackward, needsInput: false, isTrained: true)
    for fusion in side.fusions {
      // The norm before it is trained, so that its gradient is needed above frozen layers, too.
      count.linear(fusion.linear, rows: N, isBackward: isBackward, isTrained: true)
    }
    for layer in side.layers { count.block(layer, tokens: N, isBackward: isBackward, isTrained: true) }
    attention.addProducts(&count, isBackward: isBackward, needsInput: true)
  }
}
