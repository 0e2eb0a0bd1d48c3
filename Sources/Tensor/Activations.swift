import VectorKernels
import WideVectorKernels

// Pointwise nonlinearities, each with its derivative.

/// y = x·Φ(x), the exact (erf) GELU of plain ViTs and of the side branch.
public func gelu(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.gelu(y, x, count)
      : VectorKernels.gelu(y, x, count)
  }
}

/// y = x·Φ(x), and x becomes the derivative Φ(x) + x·φ(x).
public func geluAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.geluAndDerivative(y, x, count)
      : VectorKernels.geluAndDerivative(y, x, count)
  }
}

/// y = x·σ(1.702x), CLIP's GELU.
public func quickGELU(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.quickGELU(y, x, count)
      : VectorKernels.quickGELU(y, x, count)
  }
}

/// y = x·σ(1.702x), and x becomes the derivative σ + 1.702x·σ(1 − σ), σ = σ(1.702x).
public func quickGELUAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.quickGELUAndDerivative(y, x, count)
      : VectorKernels.quickGELUAndDerivative(y, x, count)
  }
}

/// y = 1 / (1 + exp(−x)).
public func sigmoid(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.sigmoid(y, x, count)
      : VectorKernels.sigmoid(y, x, count)
  }
}

/// dx = dy·y(1 − y), y the sigmoid's output.
public func sigmoidBackward(_ dx: Floats, _ dy: ConstFloats, _ y: ConstFloats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.sigmoidBackward(dx, dy, y, count)
      : VectorKernels.sigmoidBackward(dx, dy, y, count)
  }
}

/// dx = dy where the ReLU's output y is positive, else 0.
public func reluBackward(_ dx: Floats, _ dy: ConstFloats, _ y: ConstFloats, _ count: Int) {
  profiled(.activation) {
    isWide
      ? WideVectorKernels.reluBackward(dx, dy, y, count)
      : VectorKernels.reluBackward(dx, dy, y, count)
  }
}
