// Multi-head self-attention of one sample, between the packed q, k, v and the output projection.
//
// qkv is [T, 3D]: q, then k, then v, each with its heads one after another, head width D/heads. The attention
// probabilities of one head at a time lie in scratch; the backward pass makes them again from what each row's
// exponentials add up to, so that [heads, T, T] is never kept.

/// The distance between rows of a square of scores: whole vectors, so that no row has a tail.
private func squareStride(tokens T: Int) -> Int { (T + vectorWidth - 1) / vectorWidth * vectorWidth }

/// The floats of scratch that `attention` needs; `attentionBackward` needs twice as many.
public func attentionScratchCount(tokens T: Int) -> Int { T * squareStride(tokens: T) }

/// out [T, D] = softmax(q kᵀ/√(D/heads)) v, head by head.
///
/// - Parameters:
///   - logSums: [heads, T], written with each row's log Σ exp of its scores, for the backward pass; or nil.
///   - scratch: `attentionScratchCount`.
public func attention(
  _ out: Floats, logSums: Floats?, _ qkv: ConstFloats, scratch: Floats, tokens T: Int, width D: Int, heads: Int
) {
  let headWidth = D / heads
  let scale = 1 / Float(headWidth).squareRoot()
  let stride = squareStride(tokens: T)
  for head in 0..<heads {
    let q = qkv + head * headWidth
    let result = out + head * headWidth
    multiplyTransposed(
      scratch, q, q + D, m: T, n: T, k: headWidth, strideY: stride, strideX: 3 * D, strideW: 3 * D, scale: scale)
    softmaxRows(scratch, logSums: logSums.map { $0 + head * T }, rows: T, columns: T, stride: stride)
    multiply(result, scratch, q + 2 * D, m: T, n: T, k: headWidth, strideDX: D, strideDY: stride, strideW: 3 * D)
  }
}

/// mean [T, T] = the mean over the heads of softmax(q kᵀ/√(D/heads)): what `attention` weighs v with. Of qkv, v is not
/// read.
///
/// - Parameter scratch: `attentionScratchCount`.
public func meanAttention(
  _ mean: Floats, _ qkv: ConstFloats, scratch: Floats, tokens T: Int, width D: Int, heads: Int
) {
  let headWidth = D / heads
  let scale = 1 / Float(headWidth).squareRoot()
  let stride = squareStride(tokens: T)
  clear(mean, T * T)
  for head in 0..<heads {
    let q = qkv + head * headWidth
    multiplyTransposed(
      scratch, q, q + D, m: T, n: T, k: headWidth, strideY: stride, strideX: 3 * D, strideW: 3 * D, scale: scale)
    softmaxRows(scratch, logSums: nil, rows: T, columns: T, stride: stride)
    for row in 0..<T { accumulate(mean + row * T, scratch + row * stride, T) }
  }
  Tensor.scale(mean, by: 1 / Float(heads), T * T)
}

/// The gradient of `attention`: dqkv [T, 3D] is overwritten.
///
/// - Parameter scratch: twice `attentionScratchCount`.
public func attentionBackward(
  _ dqkv: Floats, _ dOut: ConstFloats, logSums: ConstFloats, _ qkv: ConstFloats, scratch: Floats, tokens T: Int,
  width D: Int, heads: Int
) {
  let headWidth = D / heads
  let scale = 1 / Float(headWidth).squareRoot()
  let stride = squareStride(tokens: T)
  let p = scratch
  let dp = scratch + attentionScratchCount(tokens: T)
  for head in 0..<heads {
    let q = qkv + head * headWidth
    let dq = dqkv + head * headWidth
    let dOutHead = dOut + head * headWidth
    ProductCount.repeating {
      multiplyTransposed(
        p, q, q + D, m: T, n: T, k: headWidth, strideY: stride, strideX: 3 * D, strideW: 3 * D, scale: scale)
    }
    multiplyTransposed(
      dp, dOutHead, q + 2 * D, m: T, n: T, k: headWidth, strideY: stride, strideX: D, strideW: 3 * D)
    softmaxRowsBackward(dp, p, logSums: logSums + head * T, rows: T, columns: T, stride: stride)
    multiplyOuter(
      dq + 2 * D, p, dOutHead, m: T, n: T, k: headWidth, strideDW: 3 * D, strideDY: stride, strideX: D, beta: 0)
    multiply(
      dq, dp, q + D, m: T, n: T, k: headWidth, strideDX: 3 * D, strideDY: stride, strideW: 3 * D, scale: scale)
    multiplyOuter(
      dq + D, dp, q, m: T, n: T, k: headWidth, strideDW: 3 * D, strideDY: stride, strideX: 3 * D, scale: scale,
      beta: 0)
  }
}
