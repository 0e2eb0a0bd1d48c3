import Foundation

/// The last vector of a row, of which only the first columns may be part of it.
private struct RowEnd {
  /// The column at which it begins.
  let start: Int
  private let isBeyond: SIMDMask<SIMD16<Int32>>

  @inline(always)
  init(columns: Int, stride: Int) {
    precondition(stride % vectorWidth == 0 && stride >= columns)
    start = (columns - 1) / vectorWidth * vectorWidth
    isBeyond = SIMD16<Int32>(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) .>= Int32(columns - start)
  }

  /// Gives what lies beyond a row the value that leaves it out of the row's sums.
  @inline(always)
  func fill(_ row: Floats, with value: Float) {
    store(load(row + start).replacing(with: Vector(repeating: value), where: isBeyond), row + start)
  }
}

/// The largest of sixteen values, by halves; SIMD16.max() would compare them one by one.
@inline(always)
private func greatest(_ v: Vector) -> Float {
  let eight = v.lowHalf.replacing(with: v.highHalf, where: v.highHalf .> v.lowHalf)
  let four = eight.lowHalf.replacing(with: eight.highHalf, where: eight.highHalf .> eight.lowHalf)
  let two = four.lowHalf.replacing(with: four.highHalf, where: four.highHalf .> four.lowHalf)
  return two.y > two.x ? two.y : two.x
}

public func softmaxRows(_ x: Floats, logSums: Floats?, rows: Int, columns: Int, stride: Int) {
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
    let largest = greatest(top)
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

public func softmaxRowsBackward(
  _ dp: Floats, _ scores: Floats, logSums: ConstFloats, rows: Int, columns: Int, stride: Int
) {
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

public func softmax(_ p: Floats, _ x: ConstFloats, _ count: Int) {
  var largest = -Float.infinity
  for i in 0..<count { largest = max(largest, x[i]) }
  let shift = Vector(repeating: largest)
  @inline(always) func shifted(_ x: Vector) -> Vector { exponential(x - shift) }
  map(p, x, count, shifted)
  scale(p, by: 1 / sum(p, count), count)
}

public func softmaxOfTwo(_ x: Floats, rows: Int) {
  @inline(always) func step(_ i: Int, _ n: Int) {
    let v = load(x + i, n)
    // softmax is the logistic function of the difference, for both.
    var difference = Vector.zero
    difference.evenHalf = v.evenHalf - v.oddHalf
    difference.oddHalf = v.oddHalf - v.evenHalf
    store(logistic(difference), x + i, n)
  }
  forVectors(2 * rows, step)
}

public func softmaxOfTwoBackward(_ ds: Floats, _ s: ConstFloats, rows: Int) {
  for r in 0..<rows {
    let slope = s[2 * r] * s[2 * r + 1] * (ds[2 * r] - ds[2 * r + 1])
    ds[2 * r] = slope
    ds[2 * r + 1] = -slope
  }
}
