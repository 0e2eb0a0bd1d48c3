public func layerNorm(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, eps: Float,
  mean: Floats?, inverse: Floats?, rows: Int, columns: Int
) {
  for r in 0..<rows {
    let xr = x + r * columns
    let mu = sum(xr, columns) / Float(columns)
    let centre = Vector(repeating: mu)
    @inline(always) func square(_ i: Int, _ n: Int) -> Vector {
      let difference = load(xr + i, n) - centre
      return difference * difference
    }
    let scale = 1 / (sum(columns, square) / Float(columns) + eps).squareRoot()
    mean?[r] = mu
    inverse?[r] = scale
    normalise(y + r * columns, xr, weight: weight, bias: bias, mean: mu, inverse: scale, columns: columns)
  }
}

public func layerNormApply(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, mean: ConstFloats, inverse: ConstFloats,
  rows: Int, columns: Int
) {
  for r in 0..<rows {
    normalise(
      y + r * columns, x + r * columns, weight: weight, bias: bias, mean: mean[r], inverse: inverse[r],
      columns: columns)
  }
}

@inline(always)
private func normalise(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, mean: Float, inverse: Float, columns: Int
) {
  let centre = Vector(repeating: mean)
  let factor = Vector(repeating: inverse)
  guard let weight, let bias else {
    @inline(always) func plain(_ x: Vector) -> Vector { (x - centre) * factor }
    return map(y, x, columns, plain)
  }
  @inline(always) func step(_ i: Int, _ n: Int) {
    let normalised = (load(x + i, n) - centre) * factor
    store(load(bias + i, n).addingProduct(normalised, load(weight + i, n)), y + i, n)
  }
  forVectors(columns, step)
}

public func layerNormBackward(
  _ dx: Floats, dWeight: Floats?, dBias: Floats?, _ dy: ConstFloats, _ x: ConstFloats, weight: ConstFloats?,
  mean: ConstFloats, inverse: ConstFloats, rows: Int, columns: Int
) {
  for r in 0..<rows {
    let xr = x + r * columns
    let dyr = dy + r * columns
    let dxr = dx + r * columns
    let centre = Vector(repeating: mean[r])
    let factor = Vector(repeating: inverse[r])
    if let dWeight, let dBias {
      @inline(always) func step(_ i: Int, _ n: Int) {
        let g = load(dyr + i, n)
        store(load(dBias + i, n) + g, dBias + i, n)
        store(load(dWeight + i, n) + g * (load(xr + i, n) - centre) * factor, dWeight + i, n)
      }
      forVectors(columns, step)
    }
    if let weight {
      @inline(always) func weighted(_ i: Int, _ n: Int) -> Vector { load(dyr + i, n) * load(weight + i, n) }
      addInputGradient(dxr, xr, centre, factor, columns, weighted)
    } else {
      @inline(always) func plain(_ i: Int, _ n: Int) -> Vector { load(dyr + i, n) }
      addInputGradient(dxr, xr, centre, factor, columns, plain)
    }
  }
}

/// dx += factor·(g − mean g − x̂·mean(g·x̂)), g the gradient of x̂ = (x − centre)·factor, over one row.
@inline(always)
private func addInputGradient(
  _ dx: Floats, _ x: ConstFloats, _ centre: Vector, _ factor: Vector, _ columns: Int, _ g: (Int, Int) -> Vector
) {
  var sums = (Vector.zero, Vector.zero)
  var i = 0
  while i + vectorWidth <= columns {
    let gradient = g(i, vectorWidth)
    sums.0 += gradient
    sums.1 += gradient * (load(x + i) - centre) * factor
    i += vectorWidth
  }
  var tails = (Vector.zero, Vector.zero)
  let rest = columns - i
  if rest > 0 {
    let gradient = g(i, rest)
    tails = (gradient, gradient * (loadPart(x + i, rest) - centre) * factor)
  }
  let s1 = Vector(repeating: orderedSum(sums.0, and: tails.0, rest) / Float(columns))
  let s2 = Vector(repeating: orderedSum(sums.1, and: tails.1, rest) / Float(columns))
  @inline(always) func step(_ i: Int, _ n: Int) {
    let share = factor * (g(i, n) - s1 - (load(x + i, n) - centre) * factor * s2)
    store(load(dx + i, n) + share, dx + i, n)
  }
  forVectors(columns, step)
}
