import Foundation
import VectorKernels
import WideVectorKernels

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
    let factors: VectorKernels.AdamWFactors = (
      decay: Float(1 - s.learningRate * s.weightDecay), rate: Float(s.learningRate / (1 - power1)),
      root: Float(1 / (1 - power2).squareRoot()), eps: Float(s.eps), gradient: s.gradientScale,
      keep1: Float(s.beta1), take1: Float(1 - s.beta1), keep2: Float(s.beta2), take2: Float(1 - s.beta2)
    )
    isWide ? WideVectorKernels.adamW(p, m, v, g, count, factors) : VectorKernels.adamW(p, m, v, g, count, factors)
  }
}
