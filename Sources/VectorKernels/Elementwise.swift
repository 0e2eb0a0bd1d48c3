// Sums and products over whole buffers.

@inline(always)
private func plus(_ a: Vector, _ b: Vector) -> Vector { a + b }

@inline(always)
private func times(_ a: Vector, _ b: Vector) -> Vector { a * b }

public func accumulate(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  map(y, y, x, count, plus)
}

public func scale(_ y: Floats, by x: ConstFloats, _ count: Int) {
  map(y, y, x, count, times)
}

public func scale(_ y: Floats, by factor: Float, _ count: Int) {
  let factor = Vector(repeating: factor)
  @inline(always) func f(_ y: Vector) -> Vector { y * factor }
  map(y, y, count, f)
}

public func addRow(_ y: Floats, _ x: ConstFloats, _ row: ConstFloats, rows: Int, columns: Int) {
  for r in 0..<rows { map(y + r * columns, x + r * columns, row, columns, plus) }
}

public func accumulateRows(_ sum: Floats, _ x: ConstFloats, rows: Int, columns: Int, stride: Int) {
  for r in 0..<rows { map(sum, sum, x + r * stride, columns, plus) }
}

public func scaleRows(_ y: Floats, _ x: ConstFloats, _ factors: ConstFloats, rows: Int, columns: Int) {
  for r in 0..<rows {
    let factor = Vector(repeating: factors[r])
    @inline(always) func f(_ x: Vector) -> Vector { x * factor }
    map(y + r * columns, x + r * columns, columns, f)
  }
}

public func scaleRowsBackward(
  _ dx: Floats, _ dFactors: Floats, _ dy: ConstFloats, _ x: ConstFloats, _ factors: ConstFloats,
  rows: Int, columns: Int
) {
  for r in 0..<rows {
    let (dyr, xr) = (dy + r * columns, x + r * columns)
    @inline(always) func product(_ i: Int, _ n: Int) -> Vector { load(dyr + i, n) * load(xr + i, n) }
    dFactors[r] = sum(columns, product)
  }
  scaleRows(dx, dy, factors, rows: rows, columns: columns)
}

/// Each of `rows` rows of dx = dy [columns] times `factor`, or added to.
public func spreadRow(_ dx: Floats, _ dy: ConstFloats, by factor: Float, rows: Int, columns: Int, adding: Bool) {
  let factor = Vector(repeating: factor)
  @inline(always) func scaled(_ dy: Vector) -> Vector { dy * factor }
  @inline(always) func added(_ dx: Vector, _ dy: Vector) -> Vector { dx + dy * factor }
  for r in 0..<rows {
    if adding {
      map(dx + r * columns, dx + r * columns, dy, columns, added)
    } else {
      map(dx + r * columns, dy, columns, scaled)
    }
  }
}

public func sumOfSquares(_ x: ConstFloats, _ count: Int) -> Double {
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
