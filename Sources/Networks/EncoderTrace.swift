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
  /// Layers below m, and from m on, that the network reads.
  private let frozenLayers: [Int]
  private let trainedLayers: [Int]
  /// Whether a backward pass follows.
  private let isTraining: Bool
  private let frozenBlock: TransformerBlock.Places
  private let liveBlocks: [TransformerBlock.Places]

  public struct Places: Sendable {
    /// [N, 3·p·p].
    public let patches: Int
    /// h⁽ⁱ⁾ [1 + N, D] of each layer below m − 1 that the network reads.
    fileprivate let features: [Int: Int]
    /// h⁽ᵐ⁻¹⁾ [1 + N, D].
    public let tail: Int
    /// h⁽ⁱ⁾ [1 + N, D] for i = m…k.
    fileprivate let outputs: [Int]
    fileprivate let saved: [Int]
    /// [1 + N, D]: the gradient on its way down, and before that room for frozen layers on their way up.
    public let gradient: Int
    /// Gradients [1 + N, D] that come in through the layers from m on which the network reads.
    public let featureGradients: [Int: Int]
  }

  /// - Parameters:
  ///   - layers: whose h⁽ⁱ⁾ the network reads beside h⁽ᵏ⁾.
  ///   - first: m; nil: the encoder's.
  public init(_ encoder: ImageEncoder, layers: some Sequence<Int>, first: Int? = nil, isTraining: Bool) {
    let first = first ?? encoder.firstLoRABlock
    precondition(first <= encoder.firstLoRABlock)
    self.first = first
    self.isTraining = isTraining
    self.encoder = encoder
    let layers = Set(layers).sorted()
    frozenLayers = layers.filter { $0 < first }
    trainedLayers = layers.filter { $0 >= first }
    let tokens = encoder.tokens
    frozenBlock = encoder.blocks[0].places(tokens: tokens, keeping: .nothing)
    liveBlocks = encoder.blocks.dropFirst(first - 1).map {
      $0.places(tokens: tokens, keeping: isTraining ? ($0.isTrained ? .inputs : .passage) : .nothing)
    }
  }

  private var size: Int { encoder.tokens * encoder.width }

  public func places(_ layout: inout Layout) -> Places {
    let last = first - 1
    var features: [Int: Int] = [:]
    for layer in frozenLayers where layer != last { features[layer] = layout.take(size) }
    let tail = layout.take(size)
    let saved = liveBlocks.map { layout.take($0.savedCount) }
    var featureGradients: [Int: Int] = [:]
    if isTraining {
      for layer in trainedLayers { featureGradients[layer] = layout.take(size) }
    }
    return Places(
      patches: layout.take(encoder.patchCount * encoder.patchValues), features: features, tail: tail,
      outputs: liveBlocks.map { _ in layout.take(size) }, saved: saved,
      gradient: layout.take(size), featureGradients: featureGradients)
  }

  /// The floats of scratch that a thread needs.
  public var scratchCount: Int {
    let live = liveBlocks.map { max($0.scratchCount, isTraining ? $0.backwardScratchCount : 0) }.max() ?? 0
    return max(frozenBlock.scratchCount, live)
  }

  /// h⁽ⁱ⁾ [1 + N, D] of h⁽ᵐ⁻¹⁾, a layer that the network reads or one from m on, after `forward`.
  public func hidden(_ layer: Int, _ memory: Floats, _ at: Places) -> Floats {
    if layer >= first { return memory + at.outputs[layer - first] }
    if let offset = at.features[layer] { return memory + offset }
    precondition(layer == first - 1, "h(\(layer)) is not kept")
    return memory + at.tail
  }

  /// The patch tokens [N, D] of h⁽ⁱ⁾.
  public func patchTokens(_ layer: Int, _ memory: Floats, _ at: Places) -> Floats {
    hidden(layer, memory, at) + encoder.width
  }

  /// h⁽⁰⁾ … h⁽ᵏ⁾ of what the network reads, from what `input` says is there.
  ///
  /// - Parameter readsLayers: whether the layers beside h⁽ᵏ⁾ are read this time.
  public func forward(
    _ input: SampleInput, readsLayers: Bool = true, _ memory: Floats, _ at: Places, scratch: Floats
  ) {
    switch input {
    case .pixels: encode(memory, at, scratch: scratch)
    case .tail(let layer):
      if readsLayers, let last = at.features.keys.filter({ $0 < layer }).max() {
        Profile.of(.frozenBlocks) { forwardFrozen(memory, at, upTo: last, scratch: scratch) }
      }
      Profile.of(.frozenBlocks) { continueFrozen(memory, at, from: layer, scratch: scratch) }
    case .features(let layer):
      Profile.of(.frozenBlocks) { continueFrozen(memory, at, from: layer, scratch: scratch) }
    }
    Profile.of(.trainedBlocks) { forwardLive(memory, at, scratch: scratch) }
  }

  /// The frozen blocks below m, from the patches: what the cache saves a run.
  public func encode(_ memory: Floats, _ at: Places, scratch: Floats) {
    Profile.of(.frozenBlocks) { forwardFrozen(memory, at, upTo: first - 1, scratch: scratch) }
  }

  /// h⁽⁰⁾ … from the patches.
  ///
  /// - Parameter upTo: the last layer wanted; m − 1, or less where the tail is already there.
  private func forwardFrozen(_ memory: Floats, _ at: Places, upTo last: Int, scratch: Floats) {
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
  private func continueFrozen(_ memory: Floats, _ at: Places, from layer: Int, scratch: Floats) {
    let h = memory + at.tail
    for next in layer..<first {
      if next > layer { encoder.blocks[next - 1].forward(h, h, saved: h, scratch: scratch, frozenBlock) }
      if let offset = at.features[next] { copy(memory + offset, h, size) }
    }
  }

  /// h⁽ᵐ⁾ … h⁽ᵏ⁾ from h⁽ᵐ⁻¹⁾.
  private func forwardLive(_ memory: Floats, _ at: Places, scratch: Floats) {
    for (index, places) in liveBlocks.enumerated() {
      encoder.blocks[first - 1 + index].forward(
        memory + at.outputs[index], hidden(first - 1 + index, memory, at), saved: memory + at.saved[index],
        scratch: scratch, places)
    }
  }

  /// The gradient of block `layer` ≥ m; the sample's `gradient` goes from h⁽ˡᵃʸᵉʳ⁾ to h⁽ˡᵃʸᵉʳ⁻¹⁾.
  ///
  /// - Parameter readsLayers: whether the layers beside h⁽ᵏ⁾ have been read, so that their gradients come in.
  public func backward(
    layer: Int, readsLayers: Bool = true, _ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats
  ) {
    let d = memory + at.gradient
    if readsLayers, let offset = at.featureGradients[layer] { accumulate(d, memory + offset, size) }
    encoder.blocks[layer - 1].backward(
      d, hidden(layer - 1, memory, at), saved: memory + at.saved[layer - first], scratch: scratch, slot: slot,
      needsInput: layer > first, liveBlocks[layer - first])
  }
}
