import Foundation

// Softmax over rows, and the cross-entropy that ends both branches.

/// The last vector of a row, of which only the first columns may be part of it.
private struct RowEnd {
  /// The column at which it begins.
  let start: Int
  private let isBeyond: SIMDMask<SIMD16<Int32>>

  @inline(__always)
  init(columns: Int, stride: Int) {
    precondition(stride % vectorWidth == 0 && stride >= columns)
    start = (columns - 1) / vectorWidth * vectorWidth
    isBeyond = SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) .>= Int32(columns - start)
  }

  /// Gives what lies beyond a row the value that leaves it out of the row's sums.
  @inline(__always)
  func fill(_ row: Floats, with value: Float) {
    store(load(row + start).replacing(with: Vector(repeating: value), where: isBeyond), row + start)
  }
}

/// x [rows, columns] becomes the softmax of its rows, in place. Rows lie `stride` apart, a multiple of the vector's
/// width; what stands between `columns` and `stride` is overwritten.
///
/// - Parameter logSums: [rows], written with log Σ exp x of each row; or nil.
public func softmaxRows(_ x: Floats, logSums: Floats?, rows: Int, columns: Int, stride: Int) {
  profiled(.softmax) {
    let end = RowEnd(columns: columns, stride: stride)
    for r in 0..<rows {
      let row = x + r * stride
      end.fill(row, with: -.infinity)
      var top = load(row + end.start)
      var i = 0
      while i < end.start {
        let v = load(row + i)
        top = top.replacing(with: v, where: v .> top)
        i += vectorWidth
      }
      let largest = top.max()
      let shift = Vector(repeating: largest)
      var sums = Vector.zero
      i = 0
      while i <= end.start {
        let e = exponential(load(row + i) - shift)
        sums += e
        store(e, row + i)
        i += vectorWidth
      }
      let total = orderedSum(sums)
      logSums?[r] = largest + log(total)
      let factor = Vector(repeating: 1 / total)
      i = 0
      while i <= end.start {
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
    let end = RowEnd(columns: columns, stride: stride)
    for r in 0..<rows {
      let row = scores + r * stride
      let dRow = dp + r * stride
      let shift = Vector(repeating: logSums[r])
      end.fill(row, with: -.infinity)
      end.fill(dRow, with: 0)
      var sums = Vector.zero
      var i = 0
      while i <= end.start {
        let p = exponential(load(row + i) - shift)
        store(p, row + i)
        sums += p * load(dRow + i)
        i += vectorWidth
      }
      let dot = Vector(repeating: orderedSum(sums))
      i = 0
      while i <= end.start {
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

/// x [rows, 2] becomes the softmax of its rows, in place.
public func softmaxOfTwo(_ x: Floats, rows: Int) {
  profiled(.softmax) {
    var r = 0
    while r < rows {
      let n = min(vectorWidth / 2, rows - r)
      let v = loadPair(x + 2 * r, n)
      // softmax is the logistic function of the difference, for both.
      var difference = Vector.zero
      difference.evenHalf = v.evenHalf - v.oddHalf
      difference.oddHalf = v.oddHalf - v.evenHalf
      storePair(logistic(difference), x + 2 * r, n)
      r += n
    }
  }
}

/// The gradient of `softmaxOfTwo`, in place: ds becomes s·(ds − Σ s·ds), s [rows, 2] the softmax.
public func softmaxOfTwoBackward(_ ds: Floats, _ s: ConstFloats, rows: Int) {
  profiled(.softmax) {
    for r in 0..<rows {
      let slope = s[2 * r] * s[2 * r + 1] * (ds[2 * r] - ds[2 * r + 1])
      ds[2 * r] = slope
      ds[2 * r + 1] = -slope
    }
  }
}

@inline(__always)
private func loadPair(_ p: ConstFloats, _ rows: Int) -> Vector {
  2 * rows == vectorWidth ? load(p) : loadPart(p, 2 * rows)
}

@inline(__always)
private func storePair(_ v: Vector, _ p: Floats, _ rows: Int) {
  if 2 * rows == vectorWidth { store(v, p) } else { storePart(v, p, 2 * rows) }
}
