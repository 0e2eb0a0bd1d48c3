// Sums and products over whole buffers.

/// y += x.
public func accumulate(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.elementwise) {
    map(y, y, x, count) { $0 + $1 }
  }
}

/// y *= x.
public func scale(_ y: Floats, by x: ConstFloats, _ count: Int) {
  profiled(.elementwise) {
    map(y, y, x, count) { $0 * $1 }
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
    for r in 0..<rows { map(y + r * columns, x + r * columns, row, columns) { $0 + $1 } }
  }
}

/// sum [columns] += the rows of x [rows, columns], in row order: the gradient of a bias.
public func accumulateRows(_ sum: Floats, _ x: ConstFloats, rows: Int, columns: Int, stride: Int? = nil) {
  profiled(.elementwise) {
    for r in 0..<rows { accumulate(sum, x + r * (stride ?? columns), columns) }
  }
}

/// y [rows, columns] = x [rows, columns], each row times its own factor: h ⊙ α, α broadcast over channels.
public func scaleRows(_ y: Floats, _ x: ConstFloats, _ factors: ConstFloats, rows: Int, columns: Int) {
  profiled(.elementwise) {
    for r in 0..<rows {
      let factor = Vector(repeating: factors[r])
      map(y + r * columns, x + r * columns, columns) { $0 * factor }
    }
  }
}

/// The gradient of `scaleRows`: dx = dy·factor, and dFactors[r] = Σ_c dy[r, c]·x[r, c].
public func scaleRowsBackward(
  _ dx: Floats, _ dFactors: Floats, _ dy: ConstFloats, _ x: ConstFloats, _ factors: ConstFloats,
  rows: Int, columns: Int
) {
  profiled(.elementwise) {
    for r in 0..<rows {
      dFactors[r] = sum(dy + r * columns, x + r * columns, columns) { $0 * $1 }
    }
    scaleRows(dx, dy, factors, rows: rows, columns: columns)
  }
}

/// Σ x², in double, in index order: a share of the gradient's norm.
public func sumOfSquares(_ x: ConstFloats, _ count: Int) -> Double {
  profiled(.optimizer) { squares(x, count) }
}

private func squares(_ x: ConstFloats, _ count: Int) -> Double {
  var partial = SIMD8<Double>.zero
  var i = 0
  while i + 8 <= count {
    let v = SIMD8<Double>(UnsafeRawPointer(x + i).loadUnaligned(as: SIMD8<Float>.self))
    partial += v * v
    i += 8
  }
  var total = 0.0
  for lane in 0..<8 { total += partial[lane] }
  while i < count {
    total += Double(x[i]) * Double(x[i])
    i += 1
  }
  return total
}
