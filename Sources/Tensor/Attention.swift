/// Multi-head self-attention of one sample, between the packed q, k, v and the output projection.
///
/// qkv is [T, 3D]: q, then k, then v, each with its heads one after another, head width D/heads.

/// out [T, D] = softmax(q kᵀ/√(D/heads)) v, head by head. `probabilities` [heads, T, T] is kept for the backward pass.
public func attention(
  _ out: Floats, probabilities: Floats, _ qkv: ConstFloats, tokens T: Int, width D: Int, heads: Int
) {
  let headWidth = D / heads
  let scale = 1 / Float(headWidth).squareRoot()
  for head in 0..<heads {
    let q = qkv + head * headWidth
    let p = probabilities + head * T * T
    multiplyTransposed(
      p, q, q + D, m: T, n: T, k: headWidth, strideX: 3 * D, strideW: 3 * D, scale: scale)
    softmaxRows(p, p, rows: T, columns: T)
    multiply(
      out + head * headWidth, p, q + 2 * D, m: T, n: T, k: headWidth, strideDX: D, strideW: 3 * D)
  }
}

/// The gradient of `attention`: dqkv [T, 3D] is overwritten.
///
/// - Parameter scratch: [T, T].
public func attentionBackward(
  _ dqkv: Floats, _ dOut: ConstFloats, probabilities: ConstFloats, _ qkv: ConstFloats, scratch: Floats,
  tokens T: Int, width D: Int, heads: Int
) {
  let headWidth = D / heads
  let scale = 1 / Float(headWidth).squareRoot()
  for head in 0..<heads {
    let q = qkv + head * headWidth
    let dq = dqkv + head * headWidth
    let p = probabilities + head * T * T
    let dOutHead = dOut + head * headWidth
    multiplyOuter(
      dq + 2 * D, p, dOutHead, m: T, n: T, k: headWidth, strideDW: 3 * D, strideDY: T, strideX: D, beta: 0)
    multiplyTransposed(
      scratch, dOutHead, q + 2 * D, m: T, n: T, k: headWidth, strideX: D, strideW: 3 * D)
    softmaxRowsBackward(scratch, scratch, p, rows: T, columns: T)
    multiply(dq, scratch, q + D, m: T, n: T, k: headWidth, strideDX: 3 * D, strideW: 3 * D, scale: scale)
    multiplyOuter(
      dq + D, scratch, q, m: T, n: T, k: headWidth, strideDW: 3 * D, strideDY: T, strideX: 3 * D, scale: scale,
      beta: 0)
  }
}
