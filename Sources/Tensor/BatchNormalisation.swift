import VectorKernels
import WideVectorKernels

// Batch normalisation over positions and samples, in the three steps between which ranks meet.
//
// Sums are kept in double and are combined in lane order (docs/model.md, "Lanes"), so that they do not depend on how
// many ranks there are.

/// sums [2·channels] += Σ x, then Σ x², over the rows of x [rows, channels].
public func batchNormSums(_ sums: UnsafeMutablePointer<Double>, _ x: ConstFloats, rows: Int, channels: Int) {
  profiled(.batchNorm) {
    isWide
      ? WideVectorKernels.batchNormSums(sums, x, rows: rows, channels: channels)
      : VectorKernels.batchNormSums(sums, x, rows: rows, channels: channels)
  }
}

/// y = (x − mean)·inverse·weight + bias, by channel, followed by a ReLU where asked; y may be x.
public func batchNormApply(
  _ y: Floats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats, weight: ConstFloats, bias: ConstFloats,
  relu: Bool, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
    isWide
      ? WideVectorKernels.batchNormApply(
        y, x, (mean, inverse, weight, bias), relu: relu, rows: rows, channels: channels)
      : VectorKernels.batchNormApply(y, x, (mean, inverse, weight, bias), relu: relu, rows: rows, channels: channels)
  }
}

/// The gradient of the ReLU behind `batchNormApply`, which is made again of the norm's input x: dx = dy where the result
/// is positive, else 0; dx may be dy.
public func batchNormReLUBackward(
  _ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats, weight: ConstFloats,
  bias: ConstFloats, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
    isWide
      ? WideVectorKernels.batchNormReLUBackward(
        dx, dy, x, (mean, inverse, weight, bias), rows: rows, channels: channels)
      : VectorKernels.batchNormReLUBackward(dx, dy, x, (mean, inverse, weight, bias), rows: rows, channels: channels)
  }
}

/// sums [2·channels] += Σ dy, then Σ dy·x̂, x̂ = (x − mean)·inverse, over the rows.
public func batchNormBackwardSums(
  _ sums: UnsafeMutablePointer<Double>, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats,
  inverse: ConstFloats, rows: Int, channels: Int
) {
  profiled(.batchNorm) {
    isWide
      ? WideVectorKernels.batchNormBackwardSums(
        sums, dy, x, mean: mean, inverse: inverse, rows: rows, channels: channels)
      : VectorKernels.batchNormBackwardSums(sums, dy, x, mean: mean, inverse: inverse, rows: rows, channels: channels)
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
    isWide
      ? WideVectorKernels.batchNormBackwardApply(
        dx, dy, x, mean: mean, inverse: inverse, weight: weight, meanDY: meanDY, meanDYX: meanDYX, rows: rows,
        channels: channels)
      : VectorKernels.batchNormBackwardApply(
        dx, dy, x, mean: mean, inverse: inverse, weight: weight, meanDY: meanDY, meanDYX: meanDYX, rows: rows,
        channels: channels)
  }
}
