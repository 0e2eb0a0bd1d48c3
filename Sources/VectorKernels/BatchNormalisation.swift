public func batchNormSums(_ sums: UnsafeMutablePointer<Double>, _ x: ConstFloats, rows: Int, channels: Int) {
  for r in 0..<rows {
    let xr = x + r * channels
    var c = 0
    while c + 8 <= channels {
      let v = SIMD8<Double>(UnsafeRawPointer(xr + c).loadUnaligned(as: SIMD8<Float>.self))
      let s = UnsafeMutableRawPointer(sums + c)
      let q = UnsafeMutableRawPointer(sums + channels + c)
      s.storeBytes(of: s.loadUnaligned(as: SIMD8<Double>.self) + v, as: SIMD8<Double>.self)
      q.storeBytes(of: q.loadUnaligned(as: SIMD8<Double>.self) + v * v, as: SIMD8<Double>.self)
      c += 8
    }
    while c < channels {
      let v = Double(xr[c])
      sums[c] += v
      sums[channels + c] += v * v
      c += 1
    }
  }
}

/// What each channel is normalised with: mean, inverse, weight and bias, [channels] each.
public typealias BatchNormFactors = (mean: ConstFloats, inverse: ConstFloats, weight: ConstFloats, bias: ConstFloats)

/// (x − mean)·inverse·weight + bias of the next `count` channels, a vector's at most.
@inline(always)
private func normed(_ x: ConstFloats, _ f: BatchNormFactors, at c: Int, _ n: Int) -> Vector {
  let normalised = (load(x + c, n) - load(f.mean + c, n)) * load(f.inverse + c, n)
  return load(f.bias + c, n).addingProduct(normalised, load(f.weight + c, n))
}

public func batchNormApply(
  _ y: Floats, _ x: ConstFloats, _ factors: BatchNormFactors, relu: Bool, rows: Int, channels: Int
) {
  for r in 0..<rows {
    let xr = x + r * channels
    let yr = y + r * channels
    @inline(always) func step(_ c: Int, _ n: Int) {
      var result = normed(xr, factors, at: c, n)
      if relu { result = result.replacing(with: Vector.zero, where: result .< Vector.zero) }
      store(result, yr + c, n)
    }
    forVectors(channels, step)
  }
}

public func batchNormReLUBackward(
  _ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, _ factors: BatchNormFactors, rows: Int, channels: Int
) {
  for r in 0..<rows {
    let xr = x + r * channels
    let dyr = dy + r * channels
    let dxr = dx + r * channels
    @inline(always) func step(_ c: Int, _ n: Int) {
      let result = normed(xr, factors, at: c, n)
      store(load(dyr + c, n).replacing(with: Vector.zero, where: result .<= Vector.zero), dxr + c, n)
    }
    forVectors(channels, step)
  }
}

public func batchNormBackwardSums(
  _ sums: UnsafeMutablePointer<Double>, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats,
  inverse: ConstFloats, rows: Int, channels: Int
) {
  for r in 0..<rows {
    let xr = x + r * channels
    let dyr = dy + r * channels
    for c in 0..<channels {
      let g = Double(dyr[c])
      sums[c] += g
      sums[channels + c] += g * Double((xr[c] - mean[c]) * inverse[c])
    }
  }
}

public func batchNormBackwardApply(
  _ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats,
  weight: ConstFloats, meanDY: ConstFloats, meanDYX: ConstFloats, rows: Int, channels: Int
) {
  for r in 0..<rows {
    let xr = x + r * channels
    let dyr = dy + r * channels
    let dxr = dx + r * channels
    @inline(always) func step(_ c: Int, _ n: Int) {
      let factor = load(inverse + c, n)
      let normalised = (load(xr + c, n) - load(mean + c, n)) * factor
      let difference = load(dyr + c, n) - load(meanDY + c, n) - normalised * load(meanDYX + c, n)
      store(load(weight + c, n) * factor * difference, dxr + c, n)
    }
    forVectors(channels, step)
  }
}
