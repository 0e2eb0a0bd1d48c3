import Tensor

/// A pre-norm transformer block: u = x + Attn(LN1 x); y = u + MLP(LN2 u). The encoder's blocks (frozen, with or
/// without LoRA) and the side branch's (trained) are the same type.

public enum Activation: String, Sendable {
  case quickgelu
  case gelu

  func forward(_ y: Floats, _ x: ConstFloats, _ count: Int) {
    switch self {
    case .quickgelu: Tensor.quickGELU(y, x, count)
    case .gelu: Tensor.gelu(y, x, count)
    }
  }

  func backward(_ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, _ count: Int) {
    switch self {
    case .quickgelu: quickGELUBackward(dx, dy, x, count)
    case .gelu: geluBackward(dx, dy, x, count)
    }
  }
}

public struct TransformerBlock: Sendable {
  public let norm1: LayerNorm
  public let q: Linear
  public let k: Linear
  public let v: Linear
  public let out: Linear
  public let norm2: LayerNorm
  public let fc1: Linear
  public let fc2: Linear
  public let heads: Int
  public let activation: Activation

  public var width: Int { norm1.width }
  public var hidden: Int { fc1.outputs }

  public init(
    norm1: LayerNorm, q: Linear, k: Linear, v: Linear, out: Linear, norm2: LayerNorm, fc1: Linear, fc2: Linear,
    heads: Int, activation: Activation
  ) {
    self.norm1 = norm1
    self.q = q
    self.k = k
    self.v = v
    self.out = out
    self.norm2 = norm2
    self.fc1 = fc1
    self.fc2 = fc2
    self.heads = heads
    self.activation = activation
  }

  private var maps: [Linear] { [q, k, v, out, fc1, fc2] }

  public var isTrained: Bool { maps.contains { $0.isTrained } }

  /// Where one sample's intermediate values lie: `saved` lives until the backward pass, `scratch` is a thread's.
  public struct Places: Sendable {
    let tokens: Int
    let normed1: Int
    let mean1: Int
    let inverse1: Int
    let qkv: Int
    let probabilities: Int
    let attended: Int
    let middle: Int
    let normed2: Int
    let mean2: Int
    let inverse2: Int
    let hidden: Int
    let activated: Int
    let low: [Int]
    /// Whether the inputs of linear maps are saved (something is trained) or lie in scratch.
    let keepsInputs: Bool
    public let savedCount: Int
    public let scratchCount: Int
  }

  /// - Parameter tokens: T, rows of a sample.
  public func places(tokens T: Int) -> Places {
    let D = width
    let keepsInputs = isTrained
    var saved = Layout()
    var scratch = Layout()
    func input(_ size: Int) -> Int { keepsInputs ? saved.take(size) : scratch.take(size) }
    let normed1 = input(T * D)
    let attended = input(T * D)
    let normed2 = input(T * D)
    let activated = input(T * hidden)
    return Places(
      tokens: T, normed1: normed1, mean1: saved.take(T), inverse1: saved.take(T), qkv: saved.take(T * 3 * D),
      probabilities: saved.take(heads * T * T), attended: attended, middle: saved.take(T * D),
      normed2: normed2, mean2: saved.take(T), inverse2: saved.take(T), hidden: saved.take(T * hidden),
      activated: activated, low: maps.map { saved.take(T * $0.lowRank) }, keepsInputs: keepsInputs,
      savedCount: saved.count, scratchCount: scratch.count)
  }

  /// The floats of scratch that a thread needs for the backward pass of a sample.
  public func backwardScratchCount(tokens T: Int) -> Int {
    let rank = maps.map { $0.lowRank }.max() ?? 0
    return T * 3 * width + T * hidden + T * width + T * T + width + T * rank + 6 * 16
  }

  /// y [T, D] of x [T, D]. y may be x where no backward pass follows.
  public func forward(_ y: Floats, _ x: ConstFloats, saved: Floats, scratch: Floats, _ at: Places) {
    let T = at.tokens
    let D = width
    let inputs = at.keepsInputs ? saved : scratch
    let (normed1, attended) = (inputs + at.normed1, inputs + at.attended)
    let (normed2, activated) = (inputs + at.normed2, inputs + at.activated)
    let (qkv, middle, hiddenValues) = (saved + at.qkv, saved + at.middle, saved + at.hidden)

    norm1.forward(normed1, x, mean: saved + at.mean1, inverse: saved + at.inverse1, rows: T)
    for (index, map) in [q, k, v].enumerated() {
      map.forward(qkv + index * D, normed1, low: saved + at.low[index], rows: T, strideY: 3 * D)
    }
    attention(
      attended, probabilities: saved + at.probabilities, qkv, tokens: T, width: D, heads: heads)
    out.forward(middle, attended, low: saved + at.low[3], rows: T)
    accumulate(middle, x, T * D)

    norm2.forward(normed2, middle, mean: saved + at.mean2, inverse: saved + at.inverse2, rows: T)
    fc1.forward(hiddenValues, normed2, low: saved + at.low[4], rows: T)
    activation.forward(activated, hiddenValues, T * hidden)
    fc2.forward(y, activated, low: saved + at.low[5], rows: T)
    accumulate(y, middle, T * D)
  }

  /// The gradient of `forward`: d [T, D] is the gradient of y on entry and of x on return (unchanged in meaning
  /// where `needsInput` is false: then only the weights' gradients are made).
  public func backward(
    _ d: Floats, _ x: ConstFloats, saved: Floats, scratch: Floats, slot: GradientSlot, needsInput: Bool,
    _ at: Places
  ) {
    let T = at.tokens
    let D = width
    var layout = Layout()
    let dQKV = scratch + layout.take(T * 3 * D)
    let dHidden = scratch + layout.take(T * hidden)
    let dNormed = scratch + layout.take(T * D)
    let square = scratch + layout.take(T * T)
    let row = scratch + layout.take(D)
    let low = scratch + layout.take(0)
    // Absent inputs are never read: a map without trained weights uses its weight alone.
    let inputs = saved
    let hiddenValues = saved + at.hidden

    fc2.backward(
      dHidden, d, inputs + at.activated, low: saved + at.low[5], slot: slot, scratch: low, rows: T)
    activation.backward(dHidden, dHidden, hiddenValues, T * hidden)
    fc1.backward(
      dNormed, dHidden, inputs + at.normed2, low: saved + at.low[4], slot: slot, scratch: low, rows: T)
    norm2.backward(
      d, dNormed, saved + at.middle, mean: saved + at.mean2, inverse: saved + at.inverse2, slot: slot,
      scratch: row, rows: T)

    out.backward(
      dNormed, d, inputs + at.attended, low: saved + at.low[3], slot: slot, scratch: low, rows: T)
    attentionBackward(
      dQKV, dNormed, probabilities: saved + at.probabilities, saved + at.qkv, scratch: square, tokens: T,
      width: D, heads: heads)
    for (index, map) in [q, k, v].enumerated() {
      map.backward(
        needsInput ? dNormed : nil, adding: index > 0, dQKV + index * D, inputs + at.normed1,
        low: saved + at.low[index], slot: slot, scratch: low, rows: T, strideDY: 3 * D)
    }
    if needsInput {
      norm1.backward(
        d, dNormed, x, mean: saved + at.mean1, inverse: saved + at.inverse1, slot: slot, scratch: row, rows: T)
    }
  }
}
