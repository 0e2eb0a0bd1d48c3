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
    let decay = Vector(repeating: Float(s.weightDecay))
    let rate = Vector(repeating: Float(s.learningRate))
    let momentum = Vector(repeating: Float(s.momentum))
    let scale = Vector(repeating: s.gradientScale)
    var i = 0
    while i < count {
      let n = min(vectorWidth, count - i)
      let isWhole = n == vectorWidth
      let p0 = isWhole ? load(p + i) : loadPart(p + i, n)
      let gradient = (isWhole ? load(g + i) : loadPart(g + i, n)) * scale + p0 * decay
      let m1 = (isWhole ? load(m + i) : loadPart(m + i, n)) * momentum + gradient
      let p1 = p0 - rate * (gradient + m1 * momentum)
      if isWhole {
        store(m1, m + i)
        store(p1, p + i)
      } else {
        storePart(m1, m + i, n)
        storePart(p1, p + i, n)
      }
      i += vectorWidth
    }
  }
}
