import Layers
import Tensor

extension ParameterGroup {
  static let side = ParameterGroup("side")
}

extension ProfiledPart {
  static let sideBranch = ProfiledPart("side branch")
}

/// The Side Branch Network, SBN (docs/model.md, "Side branch"): a small transformer over the image's patches, into
/// which the encoder's intermediate features are added.
public struct SideBranch: Sendable {
  /// d.
  public let width: Int
  /// N.
  let patches: Int
  let patch: Linear
  let position: Parameter
  let fusions: [Fusion]
  let layers: [TransformerBlock]
  /// The arena ranges whose gradients are summed together: patch and position, then layer by layer.
  let rootSegment: Range<Int>
  let layerSegments: [Range<Int>]

  /// LN and linear map of one fused layer; each entry has its own.
  struct Fusion: Sendable {
    /// Which h⁽ⁱ⁾ is added.
    let layer: Int
    let norm: LayerNorm
    let linear: Linear
  }

  private static let eps: Float = 1e-6
  private static let sigma = 0.02

  init(_ store: ParameterStore, _ options: ModelOptions.Side, patches N: Int, patchValues: Int, encoderWidth D: Int) {
    let d = options.width
    let linear = Initialiser.truncatedNormal(Self.sigma)
    func map(_ name: String, _ inputs: Int, _ outputs: Int) -> Linear {
      Linear(store, name, inputs: inputs, outputs: outputs, group: .side, weight: linear, bias: .zeros)
    }
    func norm(_ name: String, _ width: Int) -> LayerNorm {
      LayerNorm(store, name, width: width, eps: Self.eps, group: .side)
    }
    width = d
    patches = N
    let start = store.count
    patch = map("side.patch", patchValues, d)
    position = store.declare("side.position", [N, d], group: .side, .normal(Self.sigma), isPosition: true)
    rootSegment = start..<store.count
    var fusions: [Fusion] = []
    var layers: [TransformerBlock] = []
    var segments: [Range<Int>] = []
    for i in 1...options.layers {
      let start = store.count
      if i <= options.fusion.count {
        fusions.append(
          Fusion(
            layer: options.fusion[i - 1], norm: norm("side.fusion.\(i).norm", D),
            linear: map("side.fusion.\(i).linear", D, d)))
      }
      let stem = "side.layers.\(i)"
      layers.append(
        TransformerBlock(
          norm1: norm("\(stem).norm1", d), q: map("\(stem).attn.q", d, d), k: map("\(stem).attn.k", d, d),
          v: map("\(stem).attn.v", d, d), out: map("\(stem).attn.out", d, d), norm2: norm("\(stem).norm2", d),
          fc1: map("\(stem).mlp.fc1", d, 4 * d), fc2: map("\(stem).mlp.fc2", 4 * d, d), heads: options.heads,
          activation: .gelu))
      segments.append(start..<store.count)
    }
    self.fusions = fusions
    self.layers = layers
    layerSegments = segments
  }

  /// Where one sample's values lie in its memory.
  struct Places: Sendable {
    /// The input of layer i at index i − 1, and h_SBN last: each [N, d].
    let inputs: [Int]
    let means: [Int]
    let inverses: [Int]
    let layers: [Int]
    let block: TransformerBlock.Places
    /// The gradient of h_SBN on its way down, and that of the positions: [N, d].
    let gradient: Int
    let positionGradient: Int
  }

  /// - Parameters:
  ///   - keeping: what the layers keep: `.inputs` where a backward pass follows, else `.nothing`.
  ///   - keepsInputs: whether each layer's input has a place of its own.
  func places(
    _ layout: inout Layout, encoderWidth D: Int, keeping: TransformerBlock.Keeping, keepsInputs: Bool
  ) -> Places {
    // A sample's hidden values of all layers would be as large as all else that it keeps for this branch.
    let block = layers[0].places(tokens: patches, keeping: keeping, keepsHidden: false)
    let size = patches * width
    let inputs =
      keepsInputs
      ? (0...layers.count).map { _ in layout.take(size) }
      : [Int](repeating: layout.take(size), count: layers.count + 1)
    let isTraining = keeping != .nothing
    return Places(
      inputs: inputs, means: fusions.map { _ in layout.take(patches) },
      inverses: fusions.map { _ in layout.take(patches) }, layers: layers.map { _ in layout.take(block.savedCount) },
      block: block, gradient: layout.take(isTraining ? size : 0), positionGradient: layout.take(isTraining ? size : 0))
  }

  /// The floats of scratch that a thread needs.
  func scratchCount(encoderWidth D: Int, _ at: Places) -> Int {
    var fusion = Layout()
    _ = FusionScratch(&fusion, self, encoderWidth: D)
    return max(at.block.scratchCount, at.block.backwardScratchCount, fusion.count)
  }

  /// Where a fused layer's normed tokens lie in scratch, their gradient, what they add to a layer's input, and a
  /// gradient that nobody wants.
  private struct FusionScratch {
    let normed: Int
    let dNormed: Int
    let added: Int
    let unused: Int

    init(_ layout: inout Layout, _ side: SideBranch, encoderWidth D: Int) {
      normed = layout.take(side.patches * D)
      dNormed = layout.take(side.patches * D)
      added = layout.take(side.patches * side.width)
      unused = layout.take(side.patches * D)
    }
  }

  private func fusionScratch(encoderWidth D: Int) -> FusionScratch {
    var layout = Layout()
    return FusionScratch(&layout, self, encoderWidth: D)
  }

  /// h_SBN [N, d], at the last of `inputs`, from the image's patches and the encoder's features.
  ///
  /// - Parameter feature: the patch tokens [N, D] of h⁽ⁱ⁾.
  func forward(
    _ memory: Floats, _ at: Places, patches x: ConstFloats, feature: (Int) -> ConstFloats, scratch: Floats
  ) {
    let size = patches * width
    let own = fusionScratch(encoderWidth: fusions.first?.norm.width ?? 0)
    patch.forward(memory + at.inputs[0], x, low: nil, rows: patches)
    for index in layers.indices {
      let v = memory + at.inputs[index]
      accumulate(v, position.values, size)
      if index < fusions.count {
        fusions[index].norm.forward(
          scratch + own.normed, feature(fusions[index].layer), mean: memory + at.means[index],
          inverse: memory + at.inverses[index], rows: patches)
        fusions[index].linear.forward(scratch + own.added, scratch + own.normed, low: nil, rows: patches)
        accumulate(v, scratch + own.added, size)
      }
      layers[index].forward(
        memory + at.inputs[index + 1], v, saved: memory + at.layers[index], scratch: scratch, at.block)
    }
  }

  /// The gradient of layer `index` (from 0) of `forward`; the sample's `gradient` goes from its output to its input.
  ///
  /// - Parameter featureGradient: where gradients flow on into h⁽ⁱ⁾ (a LoRA block lies at or below it): its patch
  ///   tokens' gradient [N, D], which is added to.
  func backward(
    layer index: Int, _ memory: Floats, _ at: Places, feature: (Int) -> ConstFloats,
    featureGradient: (Int) -> Floats?, slot: GradientSlot, scratch: Floats, encoderWidth D: Int
  ) {
    let d = memory + at.gradient
    layers[index].backward(
      d, memory + at.inputs[index], saved: memory + at.layers[index], scratch: scratch, slot: slot,
      needsInput: true, at.block)
    if index < fusions.count {
      let fusion = fusions[index]
      let own = fusionScratch(encoderWidth: D)
      let (mean, inverse, h) = (memory + at.means[index], memory + at.inverses[index], feature(fusion.layer))
      fusion.norm.forwardAgain(scratch + own.normed, h, mean: mean, inverse: inverse, rows: patches)
      fusion.linear.backward(
        scratch + own.dNormed, d, scratch + own.normed, low: nil, slot: slot, scratch: nil, rows: patches)
      fusion.norm.backward(
        featureGradient(fusion.layer) ?? scratch + own.unused, scratch + own.dNormed, h, mean: mean, inverse: inverse,
        slot: slot, rows: patches)
    }
    accumulate(memory + at.positionGradient, d, patches * width)
  }

  /// The gradient of the patch embedding and the positions; after all layers.
  func backwardRoot(_ memory: Floats, _ at: Places, patches x: ConstFloats, slot: GradientSlot) {
    accumulate(slot.of(position), memory + at.positionGradient, patches * width)
    patch.backward(nil, memory + at.gradient, x, low: nil, slot: slot, scratch: nil, rows: patches)
  }
}
