import Layers
import Randomness
import Tensor

extension ParameterGroup {
  static let attention = ParameterGroup("attention")
}

extension ProfiledPart {
  static let attentionBranch = ProfiledPart("attention branch")
}

/// The Attention Branch, AB (docs/model.md, "Attention branch"): class-wise maps F, the attention map α, and its own
/// logits.
///
/// The methods are the pieces between the batch norms, at which lanes and ranks meet.
public struct AttentionBranch: Sendable {
  let options: ModelOptions.Attention
  /// g.
  let grid: Int
  /// d.
  let width: Int
  /// C.
  let classes: Int
  let stem: Convolution
  let stemNorm: BatchNorm
  let maps: Convolution
  let mapsNorm: BatchNorm
  let alpha: Convolution
  /// Of head `abn` only.
  let alphaNorm: BatchNorm?
  let classifier: Linear
  let segment: Range<Int>

  private static let smallestRange: Float = 1e-7

  init(_ store: ParameterStore, _ options: ModelOptions.Attention, grid: Int, width d: Int, classes C: Int, lanes: Int)
  {
    let start = store.count
    self.options = options
    self.grid = grid
    width = d
    classes = C
    stem = Convolution(
      store, "attention.stem.conv", inputs: d, outputs: d, kernel: 3, padding: options.padding, group: .attention,
      initialiser: Convolution.kaimingFanOut(outputs: d, kernel: 3))
    stemNorm = BatchNorm(store, "attention.stem.norm", channels: d, group: .attention, lanes: lanes)
    maps = Convolution(
      store, "attention.maps.conv", inputs: d, outputs: C, kernel: 1, padding: options.padding, group: .attention,
      initialiser: Convolution.kaimingFanOut(outputs: C, kernel: 1))
    mapsNorm = BatchNorm(store, "attention.maps.norm", channels: C, group: .attention, lanes: lanes)
    let isABN = options.head == .abn
    let kernel = isABN ? options.kernel : 1
    alpha = Convolution(
      store, "attention.alpha.conv", inputs: C, outputs: 1, kernel: kernel, padding: options.padding,
      group: .attention, initialiser: Convolution.kaimingFanOut(outputs: 1, kernel: kernel),
      bias: isABN ? nil : .uniform(1 / Double(C).squareRoot()))
    alphaNorm =
      isABN
      ? BatchNorm(store, "attention.alpha.norm", channels: 1, group: .attention, lanes: lanes) : nil
    let bound = 1 / Double(C).squareRoot()
    classifier = Linear(
      store, "attention.classifier", inputs: C, outputs: C, group: .attention, weight: .uniform(bound),
      bias: .uniform(bound))
    segment = start..<store.count
  }

  /// Where one sample's values lie: the outputs of convolutions (before their norm), z, F, and the map.
  struct Places: Sendable {
    /// [N, d] each.
    let stem: Int
    let z: Int
    /// [N, C] each.
    let maps: Int
    let F: Int
    /// [N]: before the norm or min-max, after σ, and α itself (after dropout).
    let raw: Int
    let squashed: Int
    let alpha: Int
    /// What dropout multiplies with: 0 or 1/(1 − p).
    let kept: Int
    /// [C].
    let pooled: Int
    let logits: Int
    let dLogits: Int
    /// [N, max(d, C)] gradients, and [N] that of α.
    let gradient: Int
    let dAlpha: Int
  }

  func places(_ layout: inout Layout) -> Places {
    let N = grid * grid
    return Places(
      stem: layout.take(N * width), z: layout.take(N * width), maps: layout.take(N * classes),
      F: layout.take(N * classes), raw: layout.take(N), squashed: layout.take(N), alpha: layout.take(N),
      kept: layout.take(N), pooled: layout.take(classes), logits: layout.take(classes),
      dLogits: layout.take(classes), gradient: layout.take(N * max(width, classes)), dAlpha: layout.take(N))
  }

  var scratchCount: Int {
    let N = grid * grid
    return max(stem.scratchCount(grid: grid), alpha.scratchCount(grid: grid)) + N * max(width, classes) + 2 * classes
      + 64
  }

  // MARK: Forward

  /// conv3×3(h_SBN), before its norm.
  func forwardStem(_ memory: Floats, _ at: Places, hSBN: ConstFloats, scratch: Floats) -> Floats {
    stem.forward(memory + at.stem, hSBN, grid: grid, scratch: scratch)
    return memory + at.stem
  }

  /// z = ReLU(BN(·)), then conv1×1, before its norm.
  func forwardMaps(_ memory: Floats, _ at: Places, scratch: Floats) -> Floats {
    stemNorm.forward(memory + at.z, memory + at.stem, relu: true, rows: grid * grid)
    maps.forward(memory + at.maps, memory + at.z, grid: grid, scratch: scratch)
    return memory + at.maps
  }

  /// F = ReLU(BN(·)), the logits, and the C→1 convolution before its norm.
  func forwardAlpha(_ memory: Floats, _ at: Places, scratch: Floats) -> Floats {
    mapsNorm.forward(memory + at.F, memory + at.maps, relu: true, rows: grid * grid)
    return headsOfF(memory, at, scratch: scratch)
  }

  /// GAP and a 1×1 convolution exchange places, for both are linear: logits = W·GAP(F) + b.
  private func headsOfF(_ memory: Floats, _ at: Places, scratch: Floats) -> Floats {
    globalAveragePool(memory + at.pooled, memory + at.F, rows: grid * grid, channels: classes)
    classifier.forward(memory + at.logits, memory + at.pooled, low: nil, rows: 1)
    alpha.forward(memory + at.raw, memory + at.F, grid: grid, scratch: scratch)
    return memory + at.raw
  }

  /// α from its convolution's output, with dropout where the phase trains it.
  ///
  /// - Parameter draw: the sample's own random stream of this step; nil where nothing is dropped.
  func finishAlpha(_ memory: Floats, _ at: Places, draw: RandomStream?) {
    let N = grid * grid
    let (raw, squashed, alpha, kept) = (memory + at.raw, memory + at.squashed, memory + at.alpha, memory + at.kept)
    kept.update(repeating: 1, count: N)
    if var draw, options.dropout > 0 {
      let factor = Float(1 / (1 - options.dropout))
      for n in 0..<N { kept[n] = draw.uniform() < options.dropout ? 0 : factor }
    }
    if let alphaNorm {
      alphaNorm.forward(squashed, raw, relu: false, rows: N)
      sigmoid(squashed, squashed, N)
      for n in 0..<N { alpha[n] = squashed[n] * kept[n] }
    } else {
      minMax(memory, at)
    }
  }

  private func minMax(_ memory: Floats, _ at: Places) {
    let N = grid * grid
    let (squashed, alpha) = (memory + at.squashed, memory + at.alpha)
    for n in 0..<N { squashed[n] = memory[at.raw + n] * memory[at.kept + n] }
    let (low, high) = extremes(squashed)
    let range = squashed[high] - squashed[low] + Self.smallestRange
    for n in 0..<N { alpha[n] = (squashed[n] - squashed[low]) / range }
  }

  /// Where the smallest and the largest value stand; the first among equals.
  private func extremes(_ values: ConstFloats) -> (Int, Int) {
    var low = 0
    var high = 0
    for n in 1..<(grid * grid) {
      if values[n] < values[low] { low = n }
      if values[n] > values[high] { high = n }
    }
    return (low, high)
  }

  // MARK: Backward

  /// From dα to the gradient of the norm's output (head `abn`) or of the convolution's (head `minmax`), in `dAlpha`.
  func backwardFinish(_ memory: Floats, _ at: Places) -> (dy: Floats, x: Floats) {
    let N = grid * grid
    let (dAlpha, squashed, alpha) = (memory + at.dAlpha, memory + at.squashed, memory + at.alpha)
    if options.head == .abn {
      for n in 0..<N { dAlpha[n] *= memory[at.kept + n] }
      sigmoidBackward(dAlpha, dAlpha, squashed, N)
    } else {
      let (low, high) = extremes(squashed)
      let range = squashed[high] - squashed[low] + Self.smallestRange
      // In double: the parts cancel, for a shift of the whole map changes nothing.
      var total = 0.0
      var weighted = 0.0
      for n in 0..<N {
        total += Double(dAlpha[n])
        weighted += Double(dAlpha[n]) * Double(alpha[n])
        dAlpha[n] /= range
      }
      dAlpha[low] = Float(Double(dAlpha[low]) - (total - weighted) / Double(range))
      dAlpha[high] = Float(Double(dAlpha[high]) - weighted / Double(range))
      for n in 0..<N { dAlpha[n] *= memory[at.kept + n] }
    }
    return (dAlpha, memory + at.raw)
  }

  /// Through the C→1 convolution and the logits, whose gradient [C] stands in `dLogits`, to the gradient of the maps'
  /// norm, in `gradient`.
  func backwardAlpha(_ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats) -> (dy: Floats, x: Floats) {
    let N = grid * grid
    let dF = memory + at.gradient
    let dRaw = memory + at.dAlpha
    alphaNorm?.backward(dRaw, dRaw, memory + at.raw, rows: N)
    alpha.backward(dF, dRaw, memory + at.F, grid: grid, slot: slot, scratch: scratch)
    let dPooled = scratch
    classifier.backward(
      dPooled, memory + at.dLogits, memory + at.pooled, low: nil, slot: slot, scratch: nil, rows: 1)
    globalAveragePoolBackward(dF, dPooled, rows: N, channels: classes, adding: true)
    reluBackward(dF, dF, memory + at.F, N * classes)
    return (dF, memory + at.maps)
  }

  /// Through the 1×1 convolution to the gradient of the stem's norm, in `gradient`.
  func backwardMaps(_ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats) -> (dy: Floats, x: Floats) {
    let N = grid * grid
    let d = memory + at.gradient
    mapsNorm.backward(scratch, d, memory + at.maps, rows: N)
    let rest = scratch + (N * classes + 16)
    maps.backward(d, scratch, memory + at.z, grid: grid, slot: slot, scratch: rest)
    reluBackward(d, d, memory + at.z, N * width)
    return (d, memory + at.stem)
  }

  /// Through the stem to dh_SBN [N, d].
  func backwardStem(
    _ dSBN: Floats, _ memory: Floats, _ at: Places, hSBN: ConstFloats, slot: GradientSlot, scratch: Floats
  ) {
    let d = memory + at.gradient
    stemNorm.backward(d, d, memory + at.stem, rows: grid * grid)
    stem.backward(dSBN, d, hSBN, grid: grid, slot: slot, scratch: scratch)
  }

  // MARK: Inference

  /// α [N] and this branch's logits [C] of h_SBN by the running statistics, in the sample's memory.
  func infer(_ memory: Floats, _ at: Places, hSBN: ConstFloats, scratch: Floats) {
    let N = grid * grid
    stem.forward(memory + at.stem, hSBN, grid: grid, scratch: scratch)
    stemNorm.infer(memory + at.z, memory + at.stem, relu: true, rows: N, scratch: scratch)
    maps.forward(memory + at.maps, memory + at.z, grid: grid, scratch: scratch)
    mapsNorm.infer(memory + at.F, memory + at.maps, relu: true, rows: N, scratch: scratch)
    let raw = headsOfF(memory, at, scratch: scratch)
    (memory + at.kept).update(repeating: 1, count: N)
    if let alphaNorm {
      alphaNorm.infer(memory + at.squashed, raw, relu: false, rows: N, scratch: scratch)
      sigmoid(memory + at.alpha, memory + at.squashed, N)
    } else {
      minMax(memory, at)
    }
  }
}
