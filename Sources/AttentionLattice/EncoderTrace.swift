import Encoder
import Layers
import Tensor

/// One sample's way through the encoder: which h⁽ⁱ⁾ are kept where, and the backward pass through the blocks that
/// LoRA makes trainable.
///
/// Blocks 1…m−1 are frozen and below everything trained: they run in place in a thread's scratch. Blocks m…k keep
/// what their backward pass needs.
struct EncoderTrace: Sendable {
  let encoder: ImageEncoder
  /// Layers below m that are fused.
  let frozenFused: [Int]
  /// Layers from m on that are fused.
  let trainedFused: [Int]
  /// Whether a backward pass follows.
  let isTraining: Bool
  let frozenBlock: TransformerBlock.Places
  let liveBlocks: [TransformerBlock.Places]

  struct Places: Sendable {
    /// [N, 3·p·p].
    let patches: Int
    /// h⁽ᶠ⁾ [1 + N, D] of each frozen fused layer below m − 1.
    let features: [Int: Int]
    /// h⁽ᵐ⁻¹⁾ [1 + N, D].
    let tail: Int
    /// h⁽ⁱ⁾ [1 + N, D] for i = m…k.
    let outputs: [Int]
    let saved: [Int]
    /// The gradient on its way down [1 + N, D], and those that come in through fused layers.
    let gradient: Int
    let featureGradients: [Int: Int]
  }

  init(_ model: LatticeModel, isTraining: Bool) {
    self.isTraining = isTraining
    encoder = model.encoder
    frozenFused = model.frozenFusedLayers
    trainedFused = model.trainedFusedLayers
    let blocks = model.encoder.blocks
    let tokens = model.encoder.tokens
    frozenBlock = blocks[0].places(tokens: tokens, keeping: .nothing)
    liveBlocks = blocks.dropFirst(model.encoder.firstLoRABlock - 1).map {
      $0.places(tokens: tokens, keeping: isTraining ? ($0.isTrained ? .inputs : .passage) : .nothing)
    }
  }

  private var size: Int { encoder.tokens * encoder.width }

  func places(_ layout: inout Layout) -> Places {
    let last = encoder.firstLoRABlock - 1
    var features: [Int: Int] = [:]
    for layer in frozenFused where layer != last { features[layer] = layout.take(size) }
    let tail = layout.take(size)
    let saved = liveBlocks.map { layout.take($0.savedCount) }
    var featureGradients: [Int: Int] = [:]
    if isTraining {
      for layer in trainedFused { featureGradients[layer] = layout.take(size) }
    }
    return Places(
      patches: layout.take(encoder.patchCount * encoder.patchValues), features: features, tail: tail,
      outputs: liveBlocks.map { _ in layout.take(size) }, saved: saved,
      gradient: layout.take(isTraining ? size : 0), featureGradients: featureGradients)
  }

  /// The floats of scratch that a thread needs.
  var scratchCount: Int {
    let live = liveBlocks.map { max($0.scratchCount, isTraining ? $0.backwardScratchCount : 0) }.max() ?? 0
    return max(frozenBlock.scratchCount, live)
  }

  /// h⁽ⁱ⁾ [1 + N, D], after `forwardFrozen` or a cached row has been read, and `forwardLive`.
  func hidden(_ layer: Int, _ memory: Floats, _ at: Places) -> Floats {
    let first = encoder.firstLoRABlock
    if layer >= first { return memory + at.outputs[layer - first] }
    if let offset = at.features[layer] { return memory + offset }
    precondition(layer == first - 1, "h(\(layer)) is not kept")
    return memory + at.tail
  }

  /// The patch tokens [N, D] of h⁽ⁱ⁾.
  func patchTokens(_ layer: Int, _ memory: Floats, _ at: Places) -> Floats {
    hidden(layer, memory, at) + encoder.width
  }

  /// h⁽⁰⁾ … h⁽ᵐ⁻¹⁾ from the patches: what the cache saves a run.
  ///
  /// - Parameter upTo: the last layer wanted; m − 1, or less where the tail is already there.
  func forwardFrozen(_ memory: Floats, _ at: Places, upTo last: Int, scratch: Floats) {
    // While only fused layers are wanted the tail's place holds a cached value that must stay.
    let isWhole = last == encoder.firstLoRABlock - 1
    let h = isWhole ? memory + at.tail : memory + at.gradient
    encoder.embed(h, patches: memory + at.patches)
    for layer in 0...last {
      if layer > 0 {
        // A frozen block keeps nothing.
        encoder.blocks[layer - 1].forward(h, h, saved: h, scratch: scratch, frozenBlock)
      }
      if let offset = at.features[layer] { copy(memory + offset, h, size) }
    }
  }

  /// h⁽ᵐ⁾ … h⁽ᵏ⁾ from h⁽ᵐ⁻¹⁾.
  func forwardLive(_ memory: Floats, _ at: Places, scratch: Floats) {
    let first = encoder.firstLoRABlock
    for (index, places) in liveBlocks.enumerated() {
      encoder.blocks[first - 1 + index].forward(
        memory + at.outputs[index], hidden(first - 1 + index, memory, at), saved: memory + at.saved[index],
        scratch: scratch, places)
    }
  }

  /// The gradient of block `layer` ≥ m; the sample's `gradient` goes from h⁽ˡᵃʸᵉʳ⁾ to h⁽ˡᵃʸᵉʳ⁻¹⁾.
  func backward(
    layer: Int, _ memory: Floats, _ at: Places, usesFusion: Bool, slot: GradientSlot, scratch: Floats
  ) {
    let first = encoder.firstLoRABlock
    let d = memory + at.gradient
    if usesFusion, let offset = at.featureGradients[layer] { accumulate(d, memory + offset, size) }
    encoder.blocks[layer - 1].backward(
      d, hidden(layer - 1, memory, at), saved: memory + at.saved[layer - first], scratch: scratch, slot: slot,
      needsInput: layer > first, liveBlocks[layer - first])
  }
}
