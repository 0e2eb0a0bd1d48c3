import Foundation

// AdamW's update of one range of values (torch's order: decay first, eps outside the root).

/// What one step of AdamW needs beside the tensors.
public struct AdamWStep: Sendable {
  public let beta1 = 0.9
  public let beta2 = 0.999
  public let eps = 1e-8
  public var learningRate: Double
  public var weightDecay: Double
  /// The tensor's own count of updates, this one included.
  public var step: Int
  /// What the gradient is multiplied with before it is used: the clip.
  public var gradientScale: Float

  public init(learningRate: Double, weightDecay: Double, step: Int, gradientScale: Float) {
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.step = step
    self.gradientScale = gradientScale
  }
}

/// p ← p(1 − lr·wd); m ← β₁m + (1−β₁)g; v ← β₂v + (1−β₂)g²; p ← p − lr/(1−β₁ᵗ)·m/(√v/√(1−β₂ᵗ) + eps).
public func adamW(_ p: Floats, _ m: Floats, _ v: Floats, _ g: ConstFloats, _ count: Int, _ s: AdamWStep) {
  profiled(.optimizer) {
    let power1 = pow(s.beta1, Double(s.step))
    let power2 = pow(s.beta2, Double(s.step))
    let decay = Vector(repeating: Float(1 - s.learningRate * s.weightDecay))
    let rate = Vector(repeating: Float(s.learningRate / (1 - power1)))
    let root = Vector(repeating: Float(1 / (1 - power2).squareRoot()))
    let eps = Vector(repeating: Float(s.eps))
    let scale = Vector(repeating: s.gradientScale)
    let keep1 = Vector(repeating: Float(s.beta1))
    let take1 = Vector(repeating: Float(1 - s.beta1))
    let keep2 = Vector(repeating: Float(s.beta2))
    let take2 = Vector(repeating: Float(1 - s.beta2))
    var i = 0
    while i < count {
      let n = min(vectorWidth, count - i)
      let isWhole = n == vectorWidth
      let gradient = (isWhole ? load(g + i) : loadPart(g + i, n)) * scale
      let m1 = (isWhole ? load(m + i) : loadPart(m + i, n)) * keep1 + gradient * take1
      let v1 = (isWhole ? load(v + i) : loadPart(v + i, n)) * keep2 + gradient * gradient * take2
      let p1 = (isWhole ? load(p + i) : loadPart(p + i, n)) * decay
      let p2 = p1 - rate * m1 / (v1.squareRoot() * root + eps)
      if isWhole {
        store(m1, m + i)
        store(v1, v + i)
        store(p2, p + i)
      } else {
        storePart(m1, m + i, n)
        storePart(v1, v + i, n)
        storePart(p2, p + i, n)
      }
      i += vectorWidth
    }
  }
}
