import VectorKernels
import WideVectorKernels

// Stochastic gradient descent's update of one range of values, with Nesterov's momentum as in torch.

/// What one step needs beside the tensors.
public struct SGDStep: Sendable {
  public var learningRate: Double
  public var weightDecay: Double
  /// 0: none.
  public var momentum: Double
  /// What the gradient is multiplied with before it is used: the clip.
  public var gradientScale: Float

  public init(learningRate: Double, weightDecay: Double, momentum: Double, gradientScale: Float) {
    self.learningRate = learningRate
    self.weightDecay = weightDecay
    self.momentum = momentum
    self.gradientScale = gradientScale
  }
}

/// g ← g + wd·p; m ← μm + g; p ← p − lr·(g + μm). Starting from m = 0, the first step's m is g.
public func sgd(_ p: Floats, _ m: Floats, _ g: ConstFloats, _ count: Int, _ s: SGDStep) {
  profiled(.optimizer) {
    let (decay, rate, momentum) = (Float(s.weightDecay), Float(s.learningRate), Float(s.momentum))
    isWide
      ? WideVectorKernels.sgd(
        p, m, g, count, weightDecay: decay, rate: rate, momentum: momentum, gradient: s.gradientScale)
      : VectorKernels.sgd(
        p, m, g, count, weightDecay: decay, rate: rate, momentum: momentum, gradient: s.gradientScale)
  }
}
