/// What a step of AdamW multiplies with: 1 − lr·wd, lr/(1−β₁ᵗ), 1/√(1−β₂ᵗ), and the rest of the rule.
public typealias AdamWFactors = (
  decay: Float, rate: Float, root: Float, eps: Float, gradient: Float, keep1: Float, take1: Float, keep2: Float,
  take2: Float
)

public func adamW(_ p: Floats, _ m: Floats, _ v: Floats, _ g: ConstFloats, _ count: Int, _ s: AdamWFactors) {
  let decay = Vector(repeating: s.decay)
  let rate = Vector(repeating: s.rate)
  let root = Vector(repeating: s.root)
  let eps = Vector(repeating: s.eps)
  let scale = Vector(repeating: s.gradient)
  let (keep1, take1) = (Vector(repeating: s.keep1), Vector(repeating: s.take1))
  let (keep2, take2) = (Vector(repeating: s.keep2), Vector(repeating: s.take2))
  @inline(always) func step(_ i: Int, _ n: Int) {
    let gradient = load(g + i, n) * scale
    let m1 = load(m + i, n) * keep1 + gradient * take1
    let v1 = load(v + i, n) * keep2 + gradient * gradient * take2
    let p1 = load(p + i, n) * decay
    store(m1, m + i, n)
    store(v1, v + i, n)
    store(p1 - rate * m1 / (squareRoot(v1) * root + eps), p + i, n)
  }
  forVectors(count, step)
}

public func sgd(
  _ p: Floats, _ m: Floats, _ g: ConstFloats, _ count: Int, weightDecay: Float, rate: Float, momentum: Float,
  gradient: Float
) {
  let decay = Vector(repeating: weightDecay)
  let rate = Vector(repeating: rate)
  let momentum = Vector(repeating: momentum)
  let scale = Vector(repeating: gradient)
  @inline(always) func step(_ i: Int, _ n: Int) {
    let p0 = load(p + i, n)
    let gradient = load(g + i, n) * scale + p0 * decay
    let m1 = load(m + i, n) * momentum + gradient
    store(m1, m + i, n)
    store(p0 - rate * (gradient + m1 * momentum), p + i, n)
  }
  forVectors(count, step)
}
