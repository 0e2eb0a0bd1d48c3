// Layer normalisation over the last axis.

/// y [rows, columns] = (x − μ)/√(var + eps)·weight + bias, by row; weight and bias may be absent (no affine).
///
/// - Parameters:
///   - mean, inverse: [rows], written with each row's μ and 1/√(var + eps) for the backward pass; both nil where
///     there is none.
public func layerNorm(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, eps: Float,
  mean: Floats?, inverse: Floats?, rows: Int, columns: Int
) {
  profiled(.norm) {
    for r in 0..<rows {
      let xr = x + r * columns
      let yr = y + r * columns
      let mu = sum(xr, xr, columns) { x, _ in x } / Float(columns)
      let centre = Vector(repeating: mu)
      let variance = sum(xr, xr, columns) { x, _ in (x - centre) * (x - centre) } / Float(columns)
      let scale = 1 / (variance + eps).squareRoot()
      mean?[r] = mu
      inverse?[r] = scale
      layerNormRow(yr, xr, weight: weight, bias: bias, mean: mu, inverse: scale, columns: columns)
    }
  }
}

/// y of `layerNorm` once more, from the mean and inverse that it has kept.
public func layerNormApply(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, mean: ConstFloats, inverse: ConstFloats,
  rows: Int, columns: Int
) {
  profiled(.norm) {
    for r in 0..<rows {
      layerNormRow(
        y + r * columns, x + r * columns, weight: weight, bias: bias, mean: mean[r], inverse: inverse[r],
        columns: columns)
    }
  }
}

@inline(__always)
private func layerNormRow(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, mean: Float, inverse: Float, columns: Int
) {
  let centre = Vector(repeating: mean)
  let factor = Vector(repeating: inverse)
  guard let weight, let bias else {
    map(y, x, columns) { ($0 - centre) * factor }
    return
  }
  var i = 0
  while i + vectorWidth <= columns {
    store(load(bias + i).addingProduct((load(x + i) - centre) * factor, load(weight + i)), y + i)
    i += vectorWidth
  }
  if i < columns {
    let n = columns - i
    storePart(
      loadPart(bias + i, n).addingProduct((loadPart(x + i, n) - centre) * factor, loadPart(weight + i, n)), y + i, n)
  }
}

/// The gradient of `layerNorm`: dx += its share (dx is added to, for a residual path runs beside a norm);
/// dWeight and dBias, where given, are added to in row order.
///
/// - Parameter scratch: [columns].
public func layerNormBackward(
  _ dx: Floats, dWeight: Floats?, dBias: Floats?, _ dy: ConstFloats, _ x: ConstFloats, weight: ConstFloats?,
  mean: ConstFloats, inverse: ConstFloats, scratch: Floats, rows: Int, columns: Int
) {
  profiled(.norm) {
    let n = Float(columns)
    for r in 0..<rows {
      let xr = x + r * columns
      let dyr = dy + r * columns
      let dxr = dx + r * columns
      let centre = Vector(repeating: mean[r])
      let factor = Vector(repeating: inverse[r])
      if let dWeight, let dBias {
        accumulate(dBias, dyr, columns)
        map(scratch, dyr, xr, columns) { dy, x in dy * (x - centre) * factor }
        accumulate(dWeight, scratch, columns)
      }
      if let weight {
        map(scratch, dyr, weight, columns) { $0 * $1 }
      } else {
        copy(scratch, dyr, columns)
      }
      let s1 = Vector(repeating: sum(scratch, scratch, columns) { g, _ in g } / n)
      let s2 = Vector(repeating: sum(scratch, xr, columns) { g, x in g * (x - centre) * factor } / n)
      map(scratch, scratch, xr, columns) { g, x in factor * (g - s1 - (x - centre) * factor * s2) }
      accumulate(dxr, scratch, columns)
    }
  }
}
