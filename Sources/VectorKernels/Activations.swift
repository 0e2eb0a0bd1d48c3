// Pointwise nonlinearities, each with its derivative.

public func gelu(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  @inline(always) func f(_ x: Vector) -> Vector {
    let half = Vector(repeating: 0.5)
    return x * (half + half * errorFunction(x * Vector(repeating: 0.707_106_77)))
  }
  map(y, x, count, f)
}

public func geluAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
  @inline(always) func step(_ i: Int, _ n: Int) {
    let v = load(x + i, n)
    let half = Vector(repeating: 0.5)
    let cumulative = half + half * errorFunction(v * Vector(repeating: 0.707_106_77))
    let density = exponential(v * v * Vector(repeating: -0.5)) * Vector(repeating: 0.398_942_28)
    store(v * cumulative, y + i, n)
    store(cumulative + v * density, x + i, n)
  }
  forVectors(count, step)
}

public func quickGELU(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  @inline(always) func f(_ x: Vector) -> Vector { x * logistic(x * Vector(repeating: 1.702)) }
  map(y, x, count, f)
}

public func quickGELUAndDerivative(_ y: Floats, _ x: Floats, _ count: Int) {
  @inline(always) func step(_ i: Int, _ n: Int) {
    let v = load(x + i, n)
    let z = v * Vector(repeating: 1.702)
    let s = logistic(z)
    store(v * s, y + i, n)
    store(s + z * s * (Vector(repeating: 1) - s), x + i, n)
  }
  forVectors(count, step)
}

public func sigmoid(_ y: Floats, _ x: ConstFloats, _ count: Int) {
  map(y, x, count, logistic)
}

public func sigmoidBackward(_ dx: Floats, _ dy: ConstFloats, _ y: ConstFloats, _ count: Int) {
  @inline(always) func f(_ dy: Vector, _ y: Vector) -> Vector { dy * y * (Vector(repeating: 1) - y) }
  map(dx, dy, y, count, f)
}

public func reluBackward(_ dx: Floats, _ dy: ConstFloats, _ y: ConstFloats, _ count: Int) {
  @inline(always) func f(_ dy: Vector, _ y: Vector) -> Vector {
    dy.replacing(with: Vector.zero, where: y .<= Vector.zero)
  }
  map(dx, dy, y, count, f)
}
