import Foundation

/// Softmax over rows, and the cross-entropy that ends both branches.

/// The columns of a row's last vector that are part of it; what lies beyond is left out of every sum.
@inline(__always)
private func lastColumns(_ columns: Int) -> SIMDMask<SIMD16<Int32>> {
  let first = (columns - 1) / vectorWidth * vectorWidth
  return SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) .< Int32(columns - first)
}

/// x [rows, columns] becomes the softmax of its rows, in place. Rows lie `stride` apart, a multiple of the vector's
/// width; what stands between `columns` and `stride` is overwritten.
///
/// - Parameter logSums: [rows], written with log Σ exp x of each row; or nil.
public func softmaxRows(_ x: Floats, logSums: Floats?, rows: Int, columns: Int, stride: Int) {
  profiled(.softmax) {
    precondition(stride % vectorWidth == 0 && stride >= columns)
    let mask = lastColumns(columns)
    let lowest = Vector(repeating: -.infinity)
    let last = (columns - 1) / vectorWidth * vectorWidth
    for r in 0..<rows {
      let row = x + r * stride
      store(load(row + last).replacing(with: lowest, where: .!mask), row + last)
      var top = load(row + last)
      var i = 0
      while i < last {
        let v = load(row + i)
        top = top.replacing(with: v, where: v .> top)
        i += vectorWidth
      }
      let largest = top.max()
      let shift = Vector(repeating: largest)
      var sums = Vector.zero
      i = 0
      while i <= last {
        let e = exponential(load(row + i) - shift)
        sums += e
        store(e, row + i)
        i += vectorWidth
      }
      let total = orderedSum(sums)
      logSums?[r] = largest + log(total)
      let factor = Vector(repeating: 1 / total)
      i = 0
      while i <= last {
        store(load(row + i) * factor, row + i)
        i += vectorWidth
      }
    }
  }
}

/// The gradient of `softmaxRows`, in place: `scores` become the probabilities p again, dp becomes p·(dp − Σ p·dp).
public func softmaxRowsBackward(
  _ dp: Floats, _ scores: Floats, logSums: ConstFloats, rows: Int, columns: Int, stride: Int
) {
  profiled(.softmax) {
    precondition(stride % vectorWidth == 0 && stride >= columns)
    let mask = lastColumns(columns)
    let lowest = Vector(repeating: -.infinity)
    let last = (columns - 1) / vectorWidth * vectorWidth
    for r in 0..<rows {
      let row = scores + r * stride
      let dRow = dp + r * stride
      let shift = Vector(repeating: logSums[r])
      store(load(row + last).replacing(with: lowest, where: .!mask), row + last)
      store(load(dRow + last).replacing(with: Vector.zero, where: .!mask), dRow + last)
      var sums = Vector.zero
      var i = 0
      while i <= last {
        let p = exponential(load(row + i) - shift)
        store(p, row + i)
        sums += p * load(dRow + i)
        i += vectorWidth
      }
      let dot = Vector(repeating: orderedSum(sums))
      i = 0
      while i <= last {
        store(load(row + i) * (load(dRow + i) - dot), dRow + i)
        i += vectorWidth
      }
    }
  }
}

/// p [count] = softmax(x); p may be x.
public func softmax(_ p: Floats, _ x: ConstFloats, _ count: Int) {
  var largest = -Float.infinity
  for i in 0..<count { largest = max(largest, x[i]) }
  let shift = Vector(repeating: largest)
  map(p, x, count) { exponential($0 - shift) }
  let factor = Vector(repeating: 1 / sum(p, p, count) { p, _ in p })
  map(p, p, count) { $0 * factor }
}

/// −log softmax(logits)[label], in double.
public func crossEntropy(_ logits: ConstFloats, label: Int, classes: Int) -> Double {
  var largest = -Double.infinity
  for c in 0..<classes { largest = max(largest, Double(logits[c])) }
  var total = 0.0
  for c in 0..<classes { total += exp(Double(logits[c]) - largest) }
  return log(total) + largest - Double(logits[label])
}

/// dLogits = scale·(softmax(logits) − onehot(label)).
public func crossEntropyBackward(
  _ dLogits: Floats, _ logits: ConstFloats, label: Int, classes: Int, scale: Float
) {
  softmax(dLogits, logits, classes)
  dLogits[label] -= 1
  for c in 0..<classes { dLogits[c] *= scale }
}
