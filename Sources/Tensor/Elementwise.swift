import VectorKernels
import WideVectorKernels

// Sums and products over whole buffers.

/// y += x.
public func accumulate(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.elementwise) {
    isWide
      ? WideVectorKernels.accumulate(y, x, count)
      : VectorKernels.accumulate(y, x, count)
  }
}

/// y *= x.
public func scale(_ y: Floats, by x: ConstFloats, _ count: Int) {
  profiled(.elementwise) {
    isWide
      ? WideVectorKernels.scale(y, by: x, count)
      : VectorKernels.scale(y, by: x, count)
  }
}

/// y *= factor.
public func scale(_ y: Floats, by factor: Float, _ count: Int) {
  profiled(.elementwise) {
    isWide ? WideVectorKernels.scale(y, by: factor, count) : VectorKernels.scale(y, by: factor, count)
  }
}

/// y = x.
public func copy(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.elementwise) {
    y.update(from: x, count: count)
  }
}

/// y = 0.
public func clear(_ y: Floats, _ count: Int) {
  profiled(.elementwise) {
    y.update(repeating: 0, count: count)
  }
}

/// Each of `rows` rows of y = `row` [columns]: a bias, before a product is added to it.
public func repeatRow(_ y: Floats, _ row: ConstFloats, rows: Int, columns: Int, stride: Int? = nil) {
  profiled(.elementwise) {
    for r in 0..<rows { (y + r * (stride ?? columns)).update(from: row, count: columns) }
  }
}

/// y [rows, columns] = x, with `row` [columns] added to each row: residual and bias, before a product is added.
public func addRow(_ y: Floats, _ x: ConstFloats, _ row: ConstFloats, rows: Int, columns: Int) {
  profiled(.elementwise) {
    isWide
      ? WideVectorKernels.addRow(y, x, row, rows: rows, columns: columns)
      : VectorKernels.addRow(y, x, row, rows: rows, columns: columns)
  }
}

/// sum [columns] += the rows of x [rows, columns], in row order: the gradient of a bias.
public func accumulateRows(_ sum: Floats, _ x: ConstFloats, rows: Int, columns: Int, stride: Int? = nil) {
  profiled(.elementwise) {
    isWide
      ? WideVectorKernels.accumulateRows(sum, x, rows: rows, columns: columns, stride: stride ?? columns)
      : VectorKernels.accumulateRows(sum, x, rows: rows, columns: columns, stride: stride ?? columns)
  }
}

/// y [rows, columns] = x [rows, columns], each row times its own factor: h ⊙ α, α broadcast over channels.
public func scaleRows(_ y: Floats, _ x: ConstFloats, _ factors: ConstFloats, rows: Int, columns: Int) {
  profiled(.elementwise) {
    isWide
      ? WideVectorKernels.scaleRows(y, x, factors, rows: rows, columns: columns)
      : VectorKernels.scaleRows(y, x, factors, rows: rows, columns: columns)
  }
}

/// The gradient of `scaleRows`: dx = dy·factor, and dFactors[r] = Σ_c dy[r, c]·x[r, c].
public func scaleRowsBackward(
  _ dx: Floats, _ dFactors: Floats, _ dy: ConstFloats, _ x: ConstFloats, _ factors: ConstFloats,
  rows: Int, columns: Int
) {
  profiled(.elementwise) {
    isWide
      ? WideVectorKernels.scaleRowsBackward(dx, dFactors, dy, x, factors, rows: rows, columns: columns)
      : VectorKernels.scaleRowsBackward(dx, dFactors, dy, x, factors, rows: rows, columns: columns)
  }
}

/// Σ x², in double, in index order: a share of the gradient's norm.
public func sumOfSquares(_ x: ConstFloats, _ count: Int) -> Double {
  profiled(.optimizer) {
    isWide
      ? WideVectorKernels.sumOfSquares(x, count)
      : VectorKernels.sumOfSquares(x, count)
  }
}
