import Foundation
import VectorKernels
import WideVectorKernels

// Softmax over rows, and the cross-entropy that ends both branches.

/// x [rows, columns] becomes the softmax of its rows, in place. Rows lie `stride` apart, a multiple of the vector's
/// width; what stands between `columns` and `stride` is overwritten.
///
/// - Parameter logSums: [rows], written with log Σ exp x of each row; or nil.
public func softmaxRows(_ x: Floats, logSums: Floats?, rows: Int, columns: Int, stride: Int) {
  profiled(.softmax) {
    isWide
      ? WideVectorKernels.softmaxRows(x, logSums: logSums, rows: rows, columns: columns, stride: stride)
      : VectorKernels.softmaxRows(x, logSums: logSums, rows: rows, columns: columns, stride: stride)
  }
}

/// The gradient of `softmaxRows`, in place: `scores` become the probabilities p again, dp becomes p·(dp − Σ p·dp).
public func softmaxRowsBackward(
  _ dp: Floats, _ scores: Floats, logSums: ConstFloats, rows: Int, columns: Int, stride: Int
) {
  profiled(.softmax) {
    isWide
      ? WideVectorKernels.softmaxRowsBackward(
        dp, scores, logSums: logSums, rows: rows, columns: columns, stride: stride)
      : VectorKernels.softmaxRowsBackward(dp, scores, logSums: logSums, rows: rows, columns: columns, stride: stride)
  }
}

/// p [count] = softmax(x); p may be x.
public func softmax(_ p: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.softmax) {
    isWide
      ? WideVectorKernels.softmax(p, x, count)
      : VectorKernels.softmax(p, x, count)
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
  softmax(dLogits, logits, classes)
  dLogits[label] -= 1
  for c in 0..<classes { dLogits[c] *= scale }
}

/// x [rows, 2] becomes the softmax of its rows, in place.
public func softmaxOfTwo(_ x: Floats, rows: Int) {
  profiled(.softmax) {
    isWide
      ? WideVectorKernels.softmaxOfTwo(x, rows: rows)
      : VectorKernels.softmaxOfTwo(x, rows: rows)
  }
}

/// The gradient of `softmaxOfTwo`, in place: ds becomes s·(ds − Σ s·ds), s [rows, 2] the softmax.
public func softmaxOfTwoBackward(_ ds: Floats, _ s: ConstFloats, rows: Int) {
  profiled(.softmax) {
    isWide
      ? WideVectorKernels.softmaxOfTwoBackward(ds, s, rows: rows)
      : VectorKernels.softmaxOfTwoBackward(ds, s, rows: rows)
  }
}
