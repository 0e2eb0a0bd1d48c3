// Pointwise nonlinearities, each with its derivative.

/// y = x·Φ(x), the exact (erf) GELU of plain ViTs and of the side branch.
public func gelu(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.activation) {
    map(y, x, count) { x in
      let half = Vector(repeating: 0.5)
      return x * (half + half * errorFunction(x * Vector(repeating: 0.707_106_77)))
    }
  }
}

/// y = x·Φ(x), and x becomes the derivative Φ(x) + x·φ(x).
public func geluAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
  profiled(.activation) {
    map(y, x, count) { x in
      let half = Vector(repeating: 0.5)
      let cumulative = half + half * errorFunction(x * Vector(repeating: 0.707_106_77))
      let density = exponential(x * x * Vector(repeating: -0.5)) * Vector(repeating: 0.398_942_28)
      return (x * cumulative, cumulative + x * density)
    }
  }
}

/// y = x·σ(1.702x), CLIP's GELU.
public func quickGELU(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.activation) {
    map(y, x, count) { x in x * logistic(x * Vector(repeating: 1.702)) }
  }
}

/// y = x·σ(1.702x), and x becomes the derivative σ + 1.702x·σ(1 − σ), σ = σ(1.702x).
public func quickGELUAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
  profiled(.activation) {
    map(y, x, count) { x in
      let z = x * Vector(repeating: 1.702)
      let s = logistic(z)
      return (x * s, s + z * s * (Vector(repeating: 1) - s))
    }
  }
}

/// y = 1 / (1 + exp(−x)).
public func sigmoid(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  profiled(.activation) {
    map(y, x, count) { logistic($0) }
  }
}

/// dx = dy·y(1 − y), y the sigmoid's output.
public func sigmoidBackward(_ dx: Floats, _ dy: ConstFloats, _ y: ConstFloats, _ count: Int) {
  profiled(.activation) {
    map(dx, dy, y, count) { dy, y in dy * y * (Vector(repeating: 1) - y) }
  }
}

/// dx = dy where the ReLU's output y is positive, else 0.
public func reluBackward(_ dx: Floats, _ dy: ConstFloats, _ y: ConstFloats, _ count: Int) {
  profiled(.activation) {
    map(dx, dy, y, count) { dy, y in dy.replacing(with: Vector.zero, where: y .<= Vector.zero) }
  }
}
