import Encoder
import Layers
import Tensor

extension ProfiledPart {
  /// Blocks below the first with LoRA.
  static let frozenBlocks = ProfiledPart("frozen blocks")
  /// Blocks that gradients flow through.
  public static let trainedBlocks = ProfiledPart("blocks from LoRA on")
}

/// One sample's way through the encoder: which h⁽ⁱ⁾ are kept where, and the backward pass through the blocks that
/// LoRA makes trainable.
///
/// Blocks 1…m−1 are frozen and below everything trained: they run in place in a thread's scratch. Blocks m…k keep
/// what their backward pass needs.
public struct EncoderTrace: Sendable {
  private let encoder: ImageEncoder
  /// m, or the block from which on another trace goes on.
  private let first: Int
  /// Values of a layer: (1 + N)·D.
  private let size: Int
  /// Whether a backward pass follows.
  private let isTraining: Bool
  private let frozenBlock: TransformerBlock.Places
  private let liveBlocks: [TransformerBlock.Places]
  private let at: Places

  /// Where a sample's values lie in its memory.
  private struct Places: Sendable {
    /// [N, 3·p·p].
    let patches: Int
    /// h⁽ⁱ⁾ [1 + N, D] of each layer below m − 1 that the network reads.
    let features: [Int: Int]
    /// h⁽ᵐ⁻¹⁾ [1 + N, D].
    let tail: Int
    /// h⁽ⁱ⁾ [1 + N, D] for i = m…k.
    let outputs: [Int]
    let saved: [Int]
    /// [1 + N, D]: the gradient on its way down, and before that room for frozen layers on their way up.
    let gradient: Int
    /// Gradients [1 + N, D] that come in through the layers from m on which the network reads.
    let featureGradients: [Int: Int]
  }

  /// - Parameters:
  ///   - layers: whose h⁽ⁱ⁾ the network reads beside h⁽ᵏ⁾.
  ///   - first: m; nil: the encoder's.
  ///   - layout: of a sample's memory, in which room is taken.
  public init(
    _ encoder: ImageEncoder, layers: some Sequence<Int>, first: Int? = nil, isTraining: Bool,
    in layout: inout Layout
  ) {
    let first = first ?? encoder.firstLoRABlock
    precondition(first <= encoder.firstLoRABlock)
    self.first = first
    self.isTraining = isTraining
    self.encoder = encoder
    let layers = Set(layers).sorted()
    let tokens = encoder.tokens
    frozenBlock = encoder.blocks[0].places(tokens: tokens, keeping: .nothing)
    let liveBlocks = encoder.blocks.dropFirst(first - 1).map {
      $0.places(tokens: tokens, keeping: isTraining ? ($0.isTrained ? .inputs : .passage) : .nothing)
    }
    self.liveBlocks = liveBlocks
    let size = encoder.tokens * encoder.width
    self.size = size
    var features: [Int: Int] = [:]
    for layer in layers where layer < first - 1 { features[layer] = layout.take(size) }
    let tail = layout.take(size)
    let saved = liveBlocks.map { layout.take($0.savedCount) }
    var featureGradients: [Int: Int] = [:]
    if isTraining {
      for layer in layers where layer >= first { featureGradients[layer] = layout.take(size) }
    }
    at = Places(
      patches: layout.take(encoder.patchCount * encoder.patchValues), features: features, tail: tail,
      outputs: liveBlocks.map { _ in layout.take(size) }, saved: saved,
      gradient: layout.take(size), featureGradients: featureGradients)
  }

  /// The floats of scratch that a thread needs.
  public var scratchCount: Int {
    let live = liveBlocks.map { max($0.scratchCount, isTraining ? $0.backwardScratchCount : 0) }.max() ?? 0
    return max(frozenBlock.scratchCount, live)
  }

  /// [N, 3·p·p].
  public func patches(_ memory: Floats) -> Floats { memory + at.patches }

  /// h⁽ᵐ⁻¹⁾ [1 + N, D].
  public func tail(_ memory: Floats) -> Floats { memory + at.tail }

  /// The gradient of h⁽ᵏ⁾ [1 + N, D], from which the backward pass begins.
  public func gradient(_ memory: Floats) -> Floats { memory + at.gradient }

  /// The gradient [1 + N, D] that comes in through a layer beside h⁽ᵏ⁾; nil where none flows on from it.
  public func featureGradient(_ layer: Int, _ memory: Floats) -> Floats? {
    at.featureGradients[layer].map { memory + $0 }
  }

  /// Makes all of these zero.
  public func clearFeatureGradients(_ memory: Floats) {
    for offset in at.featureGradients.values { clear(memory + offset, size) }
  }

  /// h⁽ⁱ⁾ [1 + N, D] of h⁽ᵐ⁻¹⁾, a layer that the network reads or one from m on, after `forward`.
  public func hidden(_ layer: Int, _ memory: Floats) -> Floats {
    if layer >= first { return memory + at.outputs[layer - first] }
    if let offset = at.features[layer] { return memory + offset }
    precondition(layer == first - 1, "h(\(layer)) is not kept")
    return memory + at.tail
  }

  /// The patch tokens [N, D] of h⁽ⁱ⁾.
  public func patchTokens(_ layer: Int, _ memory: Floats) -> Floats {
    hidden(layer, memory) + encoder.width
  }

  /// h⁽⁰⁾ … h⁽ᵏ⁾ of what the network reads, from what `input` says is there.
  ///
  /// - Parameter readsLayers: whether the layers beside h⁽ᵏ⁾ are read this time.
  public func forward(
    _ input: SampleInput, readsLayers: Bool = true, _ memory: Floats, scratch: Floats
  ) {
    switch input {
    case .pixels: encode(memory, scratch: scratch)
    case .tail(let layer):
      if readsLayers, let last = at.features.keys.filter({ $0 < layer }).max() {
        Profile.of(.frozenBlocks) { forwardFrozen(memory, upTo: last, scratch: scratch) }
      }
      Profile.of(.frozenBlocks) { continueFrozen(memory, from: layer, scratch: scratch) }
    case .features(let layer):
      Profile.of(.frozenBlocks) { continueFrozen(memory, from: layer, scratch: scratch) }
    }
    Profile.of(.trainedBlocks) { forwardLive(memory, scratch: scratch) }
  }

  /// The frozen blocks below m, from the patches: what the cache saves a run.
  public func encode(_ memory: Floats, scratch: Floats) {
    Profile.of(.frozenBlocks) { forwardFrozen(memory, upTo: first - 1, scratch: scratch) }
  }

  /// h⁽⁰⁾ … from the patches.
  ///
  /// - Parameter upTo: the last layer wanted; m − 1, or less where the tail is already there.
  private func forwardFrozen(_ memory: Floats, upTo last: Int, scratch: Floats) {
    // While only layers below are wanted the tail's place holds a cached value that must stay.
    let isWhole = last == first - 1
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

  /// h⁽ᵐ⁻¹⁾, and the layers read on the way, from h⁽ˡ⁾ in the tail's place.
  private func continueFrozen(_ memory: Floats, from layer: Int, scratch: Floats) {
    let h = memory + at.tail
    for next in layer..<first {
      if next > layer { encoder.blocks[next - 1].forward(h, h, saved: h, scratch: scratch, frozenBlock) }
      if let offset = at.features[next] { copy(memory + offset, h, size) }
    }
  }

  /// h⁽ᵐ⁾ … h⁽ᵏ⁾ from h⁽ᵐ⁻¹⁾.
  private func forwardLive(_ memory: Floats, scratch: Floats) {
    for (index, places) in liveBlocks.enumerated() {
      encoder.blocks[first - 1 + index].forward(
        memory + at.outputs[index], hidden(first - 1 + index, memory), saved: memory + at.saved[index],
        scratch: scratch, places)
    }
  }

  /// The gradient of block `layer` ≥ m; the sample's `gradient` goes from h⁽ˡᵃʸᵉʳ⁾ to h⁽ˡᵃʸᵉʳ⁻¹⁾.
  ///
  /// - Parameter readsLayers: whether the layers beside h⁽ᵏ⁾ have been read, so that their gradients come in.
  public func backward(
    layer: Int, readsLayers: Bool = true, _ memory: Floats, slot: GradientSlot, scratch: Floats
  ) {
    let d = memory + at.gradient
    if readsLayers, let offset = at.featureGradients[layer] { accumulate(d, memory + offset, size) }
    encoder.blocks[layer - 1].backward(
      d, hidden(layer - 1, memory), saved: memory + at.saved[layer - first], scratch: scratch, slot: slot,
      needsInput: layer > first, liveBlocks[layer - first])
  }
}
