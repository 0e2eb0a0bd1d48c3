// Batch normalisation over positions and samples, in the three steps between which ranks meet.
//
// Sums are kept in double and are combined in lane order (docs/model.md, "Lanes"), so that they do not depend on how
// many ranks there are.

/// sums [2·channels] += Σ x, then Σ x², over the rows of x [rows, channels].
public func batchNormSums(_ sums: UnsafeMutablePointer<Double>, _ x: ConstFloats, rows: Int, channels: Int) {
  profiled(.batchNorm) {
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
}

/// (x − mean)·inverse·weight + bias of the next `count` channels, a vector's at most.
@inline(__always)
private func normed(
  _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats, weight: ConstFloats, bias: ConstFloats, count n: Int
) -> Vector {
  let isWhole = n == vectorWidth
  let v = isWhole ? load(x) : loadPart(x, n)
  let m = isWhole ? load(mean) : loadPart(mean, n)
  let s = isWhole ? load(inverse) : loadPart(inverse, n)
  let w = isWhole ? load(weight) : loadPart(weight, n)
  let b = isWhole ? load(bias) : loadPart(bias, n)
  return b.addingProduct((v - m) * s, w)
}

/// y = (x − mean)·inverse·weight + bias, by channel, followed by a ReLU where asked; y may be x.
public func batchNormApply(
  _ y: Floats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats, weight: ConstFloats, bias: ConstFloats,
  relu: Bool, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
    for r in 0..<rows {
      let xr = x + r * channels
      let yr = y + r * channels
      var c = 0
      while c < channels {
        let n = min(vectorWidth, channels - c)
        let isWhole = n == vectorWidth
        var result = normed(
          xr + c, mean: mean + c, inverse: inverse + c, weight: weight + c, bias: bias + c, count: n)
        if relu { result = result.replacing(with: Vector.zero, where: result .< Vector.zero) }
        if isWhole { store(result, yr + c) } else { storePart(result, yr + c, n) }
        c += vectorWidth
      }
    }
  }
}

/// The gradient of the ReLU behind `batchNormApply`, which is made again of the norm's input x: dx = dy where the result
/// is positive, else 0; dx may be dy.
public func batchNormReLUBackward(
  _ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats, weight: ConstFloats,
  bias: ConstFloats, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
    for r in 0..<rows {
      let xr = x + r * channels
      var c = 0
      while c < channels {
        let n = min(vectorWidth, channels - c)
        let isWhole = n == vectorWidth
        let result = normed(
          xr + c, mean: mean + c, inverse: inverse + c, weight: weight + c, bias: bias + c, count: n)
        let offset = r * channels + c
        let d = isWhole ? load(dy + offset) : loadPart(dy + offset, n)
        let kept = d.replacing(with: Vector.zero, where: result .<= Vector.zero)
        if isWhole { store(kept, dx + offset) } else { storePart(kept, dx + offset, n) }
        c += vectorWidth
      }
    }
  }
}

/// sums [2·channels] += Σ dy, then Σ dy·x̂, x̂ = (x − mean)·inverse, over the rows.
public func batchNormBackwardSums(
  _ sums: UnsafeMutablePointer<Double>, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats,
  inverse: ConstFloats, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
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
}

/// dx = weight·inverse·(dy − Σdy/n − x̂·Σ(dy·x̂)/n); dx may be dy.
///
/// - Parameters:
///   - meanDY, meanDYX: [channels], the global sums over the global count n.
public func batchNormBackwardApply(
  _ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats,
  weight: ConstFloats, meanDY: ConstFloats, meanDYX: ConstFloats, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
    for r in 0..<rows {
      let xr = x + r * channels
      let dyr = dy + r * channels
      let dxr = dx + r * channels
      for c in 0..<channels {
        let normalised = (xr[c] - mean[c]) * inverse[c]
        dxr[c] = weight[c] * inverse[c] * (dyr[c] - meanDY[c] - normalised * meanDYX[c])
      }
    }
  }
}
