import VectorKernels
import WideVectorKernels

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
    isWide
      ? WideVectorKernels.layerNorm(
        y, x, weight: weight, bias: bias, eps: eps, mean: mean, inverse: inverse, rows: rows, columns: columns)
      : VectorKernels.layerNorm(
        y, x, weight: weight, bias: bias, eps: eps, mean: mean, inverse: inverse, rows: rows, columns: columns)
  }
}

/// y of `layerNorm` once more, from the mean and inverse that it has kept.
public func layerNormApply(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats?, bias: ConstFloats?, mean: ConstFloats, inverse: ConstFloats,
  rows: Int, columns: Int
) {
  profiled(.norm) {
    isWide
      ? WideVectorKernels.layerNormApply(
        y, x, weight: weight, bias: bias, mean: mean, inverse: inverse, rows: rows, columns: columns)
      : VectorKernels.layerNormApply(
        y, x, weight: weight, bias: bias, mean: mean, inverse: inverse, rows: rows, columns: columns)
  }
}

/// The gradient of `layerNorm`: dx += its share (dx is added to, for a residual path runs beside a norm);
/// dWeight and dBias, where given, are added to in row order.
public func layerNormBackward(
  _ dx: Floats, dWeight: Floats?, dBias: Floats?, _ dy: ConstFloats, _ x: ConstFloats, weight: ConstFloats?,
  mean: ConstFloats, inverse: ConstFloats, rows: Int, columns: Int
) {
  profiled(.norm) {
    isWide
      ? WideVectorKernels.layerNormBackward(
        dx, dWeight: dWeight, dBias: dBias, dy, x, weight: weight, mean: mean, inverse: inverse, rows: rows,
        columns: columns)
      : VectorKernels.layerNormBackward(
        dx, dWeight: dWeight, dBias: dBias, dy, x, weight: weight, mean: mean, inverse: inverse, rows: rows,
        columns: columns)
  }
}
