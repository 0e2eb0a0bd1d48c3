import VectorKernels
import WideVectorKernels

// Float32 to bfloat16, the upper half of its bits.

/// y[i] = x[i] rounded to the nearest bfloat16, ties to even; infinities stay, every NaN becomes the quiet one.
public func roundToBFloat16(_ y: UnsafeMutablePointer<UInt16>, _ x: ConstFloats, _ count: Int) {
  isWide ? WideVectorKernels.roundToBFloat16(y, x, count) : VectorKernels.roundToBFloat16(y, x, count)
}
