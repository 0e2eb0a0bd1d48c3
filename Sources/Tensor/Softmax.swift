import Foundation

/// Softmax over rows, and the cross-entropy that ends both branches.

/// p [rows, columns] = softmax of x's rows; p may be x.
public func softmaxRows(_ p: Floats, _ x: ConstFloats, rows: Int, columns: Int) {
  for r in 0..<rows {
    let xr = x + r * columns
    let pr = p + r * columns
    var largest = -Float.infinity
    var i = 0
    if columns >= vectorWidth {
      var top = load(xr)
      i = vectorWidth
      while i + vectorWidth <= columns {
        let v = load(xr + i)
        top = top.replacing(with: v, where: v .> top)
        i += vectorWidth
      }
      for lane in 0..<vectorWidth where top[lane] > largest { largest = top[lane] }
    }
    while i < columns {
      if xr[i] > largest { largest = xr[i] }
      i += 1
    }
    let shift = Vector(repeating: largest)
    map(pr, xr, columns) { exponential($0 - shift) }
    let total = sum(pr, pr, columns) { p, _ in p }
    let factor = Vector(repeating: 1 / total)
    map(pr, pr, columns) { $0 * factor }
  }
}

/// The gradient of `softmaxRows`: dx = p·(dp − Σ p·dp); dx may be dp.
public func softmaxRowsBackward(_ dx: Floats, _ dp: ConstFloats, _ p: ConstFloats, rows: Int, columns: Int) {
  for r in 0..<rows {
    let pr = p + r * columns
    let dpr = dp + r * columns
    let dot = Vector(repeating: sum(pr, dpr, columns) { $0 * $1 })
    map(dx + r * columns, dpr, pr, columns) { dp, p in p * (dp - dot) }
  }
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
  softmaxRows(dLogits, logits, rows: 1, columns: classes)
  dLogits[label] -= 1
  for c in 0..<classes { dLogits[c] *= scale }
}
