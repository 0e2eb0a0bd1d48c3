import Layers
import Networks
import Randomness
import Tensor

extension ParameterGroup {
  package static let attention = ParameterGroup("attention")
}

extension ProfiledPart {
  package static let attentionBranch = ProfiledPart("attention branch")
}

/// The Attention Branch, AB (docs/model.md, "Attention branch"): class-wise maps F, the attention map α, and its own
/// logits.
///
/// The methods are the pieces between the batch norms, at which lanes and ranks meet.
package struct AttentionBranch: Sendable {
  package let options: AttentionOptions
  /// g.
  package let grid: Int
  /// d.
  package let width: Int
  /// C.
  package let classes: Int
  package let stem: Convolution
  package let stemNorm: BatchNorm
  package let maps: Convolution
  package let mapsNorm: BatchNorm
  package let alpha: Convolution
  /// Of head `abn` only.
  package let alphaNorm: BatchNorm?
  package let classifier: Linear
  /// What the regions of the backward pass make the gradients of, in their order.
  package let segments: [Range<Int>]

  private static let smallestRange: Float = 1e-7

  /// - Parameters:
  ///   - prefix: of its tensors' names.
  ///   - width: d, the channels of what it reads.
  package init(
    _ store: ParameterStore, _ options: AttentionOptions, prefix: String = "", grid: Int, width d: Int, classes C: Int,
    lanes: Int
  ) {
    let start = store.count
    self.options = options
    self.grid = grid
    width = d
    classes = C
    stem = Convolution(
      store, "\(prefix)attention.stem.conv", inputs: d, outputs: d, kernel: 3, padding: options.padding,
      group: .attention,
      initialiser: Convolution.kaimingFanOut(outputs: d, kernel: 3))
    stemNorm = BatchNorm(store, "\(prefix)attention.stem.norm", channels: d, group: .attention, lanes: lanes)
    maps = Convolution(
      store, "\(prefix)attention.maps.conv", inputs: d, outputs: C, kernel: 1, padding: options.padding,
      group: .attention,
      initialiser: Convolution.kaimingFanOut(outputs: C, kernel: 1))
    mapsNorm = BatchNorm(store, "\(prefix)attention.maps.norm", channels: C, group: .attention, lanes: lanes)
    let isABN = options.head == .abn
    let kernel = isABN ? options.kernel : 1
    alpha = Convolution(
      store, "\(prefix)attention.alpha.conv", inputs: C, outputs: 1, kernel: kernel, padding: options.padding,
      group: .attention, initialiser: Convolution.kaimingFanOut(outputs: 1, kernel: kernel),
      bias: isABN ? nil : .uniform(1 / Double(C).squareRoot()))
    alphaNorm =
      isABN
      ? BatchNorm(store, "\(prefix)attention.alpha.norm", channels: 1, group: .attention, lanes: lanes) : nil
    let bound = 1 / Double(C).squareRoot()
    let last = store.count
    classifier = Linear(
      store, "\(prefix)attention.classifier", inputs: C, outputs: C, group: .attention, weight: .uniform(bound),
      bias: .uniform(bound))
    let ends = [
      store.count, alphaNorm?.weight.offset ?? last, mapsNorm.weight.offset, stemNorm.weight.offset, start,
    ]
    segments = zip(ends.dropFirst(), ends).map { $0..<$1 }
  }

  /// Where one sample's values lie: the outputs of convolutions (before their norm), z, F, and the map.
  package struct Places: Sendable {
    /// [N, d] each.
    package let stem: Int
    package let z: Int
    /// [N, C] each.
    package let maps: Int
    package let F: Int
    /// [N]: before the norm or min-max, after σ, and α itself (after dropout).
    package let raw: Int
    package let squashed: Int
    package let alpha: Int
    /// What dropout multiplies with: 0 or 1/(1 − p).
    package let kept: Int
    /// [C].
    package let pooled: Int
    package let logits: Int
    package let dLogits: Int
    package let dPooled: Int
    /// [N, max(d, C)] gradients, and [N] that of α.
    package let gradient: Int
    package let dAlpha: Int
  }

  package func places(_ layout: inout Layout) -> Places {
    let N = grid * grid
    return Places(
      stem: layout.take(N * width), z: layout.take(N * width), maps: layout.take(N * classes),
      F: layout.take(N * classes), raw: layout.take(N), squashed: layout.take(N), alpha: layout.take(N),
      kept: layout.take(N), pooled: layout.take(classes), logits: layout.take(classes),
      dLogits: layout.take(classes), dPooled: layout.take(classes), gradient: layout.take(N * max(width, classes)),
      dAlpha: layout.take(N))
  }

  package var scratchCount: Int {
    let N = grid * grid
    return max(stem.scratchCount(grid: grid), alpha.scratchCount(grid: grid)) + N * max(width, classes) + 2 * classes
      + 64
  }

  // MARK: Forward

  /// conv3×3(h_SBN), before its norm.
  package func forwardStem(_ memory: Floats, _ at: Places, hSBN: ConstFloats, scratch: Floats) -> Floats {
    stem.forward(memory + at.stem, hSBN, grid: grid, scratch: scratch)
    return memory + at.stem
  }

  /// z = ReLU(BN(·)), then conv1×1, before its norm.
  package func forwardMaps(_ memory: Floats, _ at: Places, scratch: Floats) -> Floats {
    stemNorm.forward(memory + at.z, memory + at.stem, relu: true, rows: grid * grid)
    maps.forward(memory + at.maps, memory + at.z, grid: grid, scratch: scratch)
    return memory + at.maps
  }

  /// F = ReLU(BN(·)), the logits, and the C→1 convolution before its norm.
  package func forwardAlpha(_ memory: Floats, _ at: Places, scratch: Floats) -> Floats {
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
  package func finishAlpha(_ memory: Floats, _ at: Places, draw: RandomStream?) {
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

  /// From dα to the gradient of the norm's output (head `abn`) or of the convolution's (head `minmax`), in `dAlpha`, and
  /// from that of the logits [C], in `dLogits`, to that of GAP(F).
  package func backwardFinish(_ memory: Floats, _ at: Places, slot: GradientSlot) -> (dy: Floats, x: Floats) {
    let N = grid * grid
    classifier.backward(
      memory + at.dPooled, memory + at.dLogits, memory + at.pooled, low: nil, slot: slot, scratch: nil, rows: 1)
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

  /// Through the C→1 convolution and GAP to the gradient of the maps' norm, in `gradient`.
  package func backwardAlpha(_ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats) -> (
    dy: Floats, x: Floats
  ) {
    let N = grid * grid
    let dF = memory + at.gradient
    let dRaw = memory + at.dAlpha
    alphaNorm?.backward(dRaw, dRaw, memory + at.raw, rows: N)
    alpha.backward(dF, dRaw, memory + at.F, grid: grid, slot: slot, scratch: scratch)
    globalAveragePoolBackward(dF, memory + at.dPooled, rows: N, channels: classes, adding: true)
    reluBackward(dF, dF, memory + at.F, N * classes)
    return (dF, memory + at.maps)
  }

  /// Through the 1×1 convolution to the gradient of the stem's norm, in `gradient`.
  package func backwardMaps(_ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats) -> (
    dy: Floats, x: Floats
  ) {
    let N = grid * grid
    let d = memory + at.gradient
    mapsNorm.backward(scratch, d, memory + at.maps, rows: N)
    let rest = scratch + (N * classes + 16)
    maps.backward(d, scratch, memory + at.z, grid: grid, slot: slot, scratch: rest)
    reluBackward(d, d, memory + at.z, N * width)
    return (d, memory + at.stem)
  }

  /// Through the stem to dh_SBN [N, d]; nil where nothing below is trained.
  package func backwardStem(
    _ dSBN: Floats?, _ memory: Floats, _ at: Places, hSBN: ConstFloats, slot: GradientSlot, scratch: Floats
  ) {
    let d = memory + at.gradient
    stemNorm.backward(d, d, memory + at.stem, rows: grid * grid)
    stem.backward(dSBN, d, hSBN, grid: grid, slot: slot, scratch: scratch)
  }

  /// Adds the matrix products of a sample.
  ///
  /// - Parameter needsInput: whether its input's gradient is made.
  package func addProducts(_ count: inout ProductCount, isBackward: Bool, needsInput: Bool) {
    count.convolution(stem, grid: grid, isBackward: isBackward, needsInput: needsInput)
    count.convolution(maps, grid: grid, isBackward: isBackward)
    count.convolution(alpha, grid: grid, isBackward: isBackward)
    count.linear(classifier, rows: 1, isBackward: isBackward, isTrained: true)
  }

  // MARK: The regions of a pass

  /// Forward up to the last norm, after which α is finished.
  ///
  /// - Parameter input: makes a sample's h_SBN [N, d], or what stands for it.
  package func forward(_ lanes: LanePass, _ at: Places, input: (LaneSample, Floats, Floats) -> ConstFloats) {
    let N = grid * grid
    lanes.forward(.attentionBranch, stemNorm, rows: N) { sample, m, scratch in
      let hSBN = input(sample, m, scratch)
      return forwardStem(m, at, hSBN: hSBN, scratch: scratch)
    }
    lanes.forward(.attentionBranch, mapsNorm, rows: N) { _, m, scratch in forwardMaps(m, at, scratch: scratch) }
    lanes.forward(.attentionBranch, alphaNorm, rows: N) { _, m, scratch in forwardAlpha(m, at, scratch: scratch) }
  }

  /// From dα and the branch's own logits.
  ///
  /// - Parameter stem: ends it for a sample, by `backwardStem`.
  package func backward(_ lanes: LanePass, _ at: Places, stem: (Floats, GradientSlot, Floats) -> Void) {
    let N = grid * grid
    lanes.backward(.attentionBranch, alphaNorm, rows: N, summing: segments[0]) { _, m, slot, _ in
      backwardFinish(m, at, slot: slot)
    }
    lanes.backward(.attentionBranch, mapsNorm, rows: N, summing: segments[1]) { _, m, slot, scratch in
      backwardAlpha(m, at, slot: slot, scratch: scratch)
    }
    lanes.backward(.attentionBranch, stemNorm, rows: N, summing: segments[2]) { _, m, slot, scratch in
      backwardMaps(m, at, slot: slot, scratch: scratch)
    }
    lanes.region(.attentionBranch, summing: segments[3]) { _, m, slot, scratch in stem(m, slot, scratch) }
  }

  // MARK: Inference

  /// α [N] and this branch's logits [C] of h_SBN by the running statistics, in the sample's memory.
  package func infer(_ memory: Floats, _ at: Places, hSBN: ConstFloats, scratch: Floats) {
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
