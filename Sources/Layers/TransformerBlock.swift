import Tensor

public enum Activation: String, Sendable {
  case quickgelu
  case gelu

  /// y = f(x); y may be x.
  func forward(_ y: Floats, _ x: ConstFloats, _ count: Int) {
    switch self {
    case .quickgelu: quickGELU(y, x, count)
    case .gelu: Tensor.gelu(y, x, count)
    }
  }

  /// y = f(x), and x becomes f′(x).
  func forwardAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
    switch self {
    case .quickgelu: quickGELUAndDerivative(y, x, count)
    case .gelu: geluAndDerivative(y, x, count)
    }
  }
}

/// A pre-norm transformer block: u = x + Attn(LN1 x); y = u + MLP(LN2 u). The encoder's blocks (frozen, with or
/// without LoRA) and the side branch's (trained) are the same type.
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

  /// What a forward pass keeps.
  public enum Keeping: Sendable {
    /// Nothing: inference, and frozen blocks below everything trained.
    case nothing
    /// What a gradient needs on its way through frozen maps.
    case passage
    /// What the gradients of trained maps need, too.
    case inputs
  }

  /// Where one sample's intermediate values lie: `saved` lives until the backward pass, `scratch` is a thread's.
  ///
  /// Normed inputs, attention probabilities and activations are not kept: the backward pass makes them again from
  /// what is. So it does the hidden values where asked, for one product of the block's more.
  public struct Places: Sendable {
    let tokens: Int
    let keeping: Keeping
    let keepsHidden: Bool
    let mean1: Int
    let inverse1: Int
    let qkv: Int
    let logSums: Int
    let attended: Int
    let middle: Int
    let mean2: Int
    let inverse2: Int
    let hidden: Int
    let low: [Int]
    public let savedCount: Int
    /// In scratch, forward.
    let normed: Int
    let square: Int
    let activated: Int
    public let scratchCount: Int
    /// In scratch, backward.
    let dQKV: Int
    let dHidden: Int
    let dNormed: Int
    let again: Int
    let dLow: Int
    let hiddenAgain: Int
    public let backwardScratchCount: Int
  }

  /// - Parameters:
  ///   - tokens: T, rows of a sample.
  ///   - keepsHidden: whether the hidden values are kept for a backward pass, or made again by it.
  public func places(tokens T: Int, keeping: Keeping, keepsHidden: Bool = true) -> Places {
    let D = width
    var saved = Layout()
    var scratch = Layout()
    func place(_ size: Int, isKept: Bool) -> Int { isKept ? saved.take(size) : scratch.take(size) }
    let isBackward = keeping != .nothing
    let squareCount = attentionScratchCount(tokens: T)
    let (normed, square) = (scratch.take(T * D), scratch.take(squareCount))
    let qkv = place(T * 3 * D, isKept: isBackward)
    let middle = place(T * D, isKept: isBackward)
    let keepsHidden = isBackward && keepsHidden
    let hidden = place(T * hidden, isKept: keepsHidden)
    let activated = keepsHidden ? scratch.take(T * self.hidden) : hidden
    // Without a backward pass the normed input is done with when the attended values are made.
    let attended = keeping == .inputs ? saved.take(T * D) : normed
    let statistics = (0..<4).map { _ in saved.take(isBackward ? T : 0) }
    let logSums = saved.take(isBackward ? heads * T : 0)
    let low = maps.map { place(T * $0.lowRank, isKept: keeping == .inputs) }

    // The gradient of the hidden values is done with when that of q, k, v begins.
    var backward = Layout()
    let dHidden = backward.take(max(T * self.hidden, T * 3 * D))
    return Places(
      tokens: T, keeping: keeping, keepsHidden: keepsHidden, mean1: statistics[0], inverse1: statistics[1], qkv: qkv,
      logSums: logSums,
      attended: attended, middle: middle, mean2: statistics[2], inverse2: statistics[3], hidden: hidden, low: low,
      savedCount: saved.count, normed: normed, square: square, activated: activated, scratchCount: scratch.count,
      dQKV: dHidden, dHidden: dHidden, dNormed: backward.take(T * D),
      again: backward.take(max(T * self.hidden, T * D, 2 * squareCount)),
      dLow: backward.take(T * (maps.map { $0.lowRank }.max() ?? 0)),
      hiddenAgain: backward.take(isBackward && !keepsHidden ? T * self.hidden : 0), backwardScratchCount: backward.count
    )
  }

  /// y [T, D] of x [T, D]. y may be x where no backward pass follows.
  public func forward(_ y: Floats, _ x: ConstFloats, saved: Floats, scratch: Floats, _ at: Places) {
    let T = at.tokens
    let D = width
    let isBackward = at.keeping != .nothing
    let kept = isBackward ? saved : scratch
    let normed = scratch + at.normed
    let attended = (at.keeping == .inputs ? saved : scratch) + at.attended
    let low = at.keeping == .inputs ? saved : scratch
    let (qkv, middle, hiddenValues) = (
      kept + at.qkv, kept + at.middle, (at.keepsHidden ? saved : scratch) + at.hidden
    )
    func statistic(_ offset: Int) -> Floats? { isBackward ? saved + offset : nil }

    norm1.forward(normed, x, mean: statistic(at.mean1), inverse: statistic(at.inverse1), rows: T)
    q.forward(qkv, normed, low: low + at.low[0], rows: T, strideY: 3 * D)
    k.forward(qkv + D, normed, low: low + at.low[1], rows: T, strideY: 3 * D)
    v.forward(qkv + 2 * D, normed, low: low + at.low[2], rows: T, strideY: 3 * D)
    attention(
      attended, logSums: statistic(at.logSums), qkv, scratch: scratch + at.square, tokens: T, width: D, heads: heads)
    out.forward(middle, attended, residual: x, low: low + at.low[3], rows: T)

    norm2.forward(normed, middle, mean: statistic(at.mean2), inverse: statistic(at.inverse2), rows: T)
    fc1.forward(hiddenValues, normed, low: low + at.low[4], rows: T)
    let activated = scratch + at.activated
    if at.keeping == .passage && at.keepsHidden {
      activation.forwardAndDerivative(activated, hiddenValues, T * hidden)
    } else {
      activation.forward(activated, hiddenValues, T * hidden)
    }
    fc2.forward(y, activated, residual: middle, low: low + at.low[5], rows: T)
  }

  /// The attention probabilities [T, T] that `forward` makes of x [T, D], as a mean over the heads: row i holds what
  /// token i takes from each.
  ///
  /// - Parameter at: of a pass that keeps nothing.
  public func meanAttention(_ mean: Floats, _ x: ConstFloats, scratch: Floats, _ at: Places) {
    precondition(at.keeping == .nothing)
    let (T, D) = (at.tokens, width)
    let (normed, qkv) = (scratch + at.normed, scratch + at.qkv)
    norm1.forward(normed, x, mean: nil, inverse: nil, rows: T)
    q.forward(qkv, normed, low: scratch + at.low[0], rows: T, strideY: 3 * D)
    k.forward(qkv + D, normed, low: scratch + at.low[1], rows: T, strideY: 3 * D)
    Tensor.meanAttention(mean, qkv, scratch: scratch + at.square, tokens: T, width: D, heads: heads)
  }

  /// The gradient of `forward`: d [T, D] is the gradient of y on entry and of x on return (unchanged in meaning
  /// where `needsInput` is false: then only the weights' gradients are made). Uses `saved` up.
  public func backward(
    _ d: Floats, _ x: ConstFloats, saved: Floats, scratch: Floats, slot: GradientSlot, needsInput: Bool,
    _ at: Places
  ) {
    let T = at.tokens
    let D = width
    let isTrained = at.keeping == .inputs
    let (dHidden, dQKV, dNormed) = (scratch + at.dHidden, scratch + at.dQKV, scratch + at.dNormed)
    let (again, dLow) = (scratch + at.again, scratch + at.dLow)
    let middle = saved + at.middle
    let derivative = at.keepsHidden ? saved + at.hidden : scratch + at.hiddenAgain
    let low = ConstFloats(saved)

    if !at.keepsHidden {
      norm2.forwardAgain(dNormed, middle, mean: saved + at.mean2, inverse: saved + at.inverse2, rows: T)
      ProductCount.repeating { fc1.forward(derivative, dNormed, low: saved + at.low[4], rows: T) }
    }
    if isTrained || !at.keepsHidden { activation.forwardAndDerivative(again, derivative, T * hidden) }
    fc2.backward(dHidden, d, again, low: low + at.low[5], slot: slot, scratch: dLow, rows: T)
    scale(dHidden, by: derivative, T * hidden)
    if isTrained { norm2.forwardAgain(again, middle, mean: saved + at.mean2, inverse: saved + at.inverse2, rows: T) }
    fc1.backward(dNormed, dHidden, again, low: low + at.low[4], slot: slot, scratch: dLow, rows: T)
    norm2.backward(
      d, dNormed, middle, mean: saved + at.mean2, inverse: saved + at.inverse2, slot: slot, rows: T)

    out.backward(dNormed, d, saved + at.attended, low: low + at.low[3], slot: slot, scratch: dLow, rows: T)
    attentionBackward(
      dQKV, dNormed, logSums: saved + at.logSums, saved + at.qkv, scratch: again, tokens: T, width: D, heads: heads)
    if isTrained { norm1.forwardAgain(again, x, mean: saved + at.mean1, inverse: saved + at.inverse1, rows: T) }
    let dInput = needsInput ? dNormed : nil
    q.backward(dInput, dQKV, again, low: low + at.low[0], slot: slot, scratch: dLow, rows: T, strideDY: 3 * D)
    k.backward(
      dInput, adding: true, dQKV + D, again, low: low + at.low[1], slot: slot, scratch: dLow, rows: T, strideDY: 3 * D)
    v.backward(
      dInput, adding: true, dQKV + 2 * D, again, low: low + at.low[2], slot: slot, scratch: dLow, rows: T,
      strideDY: 3 * D)
    if needsInput {
      norm1.backward(
        d, dNormed, x, mean: saved + at.mean1, inverse: saved + at.inverse1, slot: slot, rows: T)
    }
  }
}
