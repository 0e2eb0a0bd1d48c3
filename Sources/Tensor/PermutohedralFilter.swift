import Foundation

/// The weighed sum over a picture's pixels that its lattice approximates, as a quadratic form: a dense CRF's term.
extension PermutohedralLattice {
  /// Σ_c S_cᵀ W S_c, W the lattice's operator (slice of blur of splat), and its gradient (W + Wᵀ) S.
  ///
  /// - Parameters:
  ///   - s: [pixels, 2].
  ///   - gradient: [pixels, 2], to which `factor` times the gradient is added; nil where it is not wanted.
  public func quadraticForm(_ s: ConstFloats, gradient: Floats?, factor: Float) -> Double {
    profiled(.gather) {
      splat(s)
      let forward = blur(isReversed: false)
      let form = slice(forward, s, gradient: gradient, factor: factor)
      guard gradient != nil else { return form }
      splat(s)
      let backward = blur(isReversed: true)
      _ = slice(backward, s, gradient: gradient, factor: factor)
      return form
    }
  }

  /// The Gaussian's mass (2π)^(d/2) over the blur's: 2 along each of d + 1 axes, in cells of (3/2)^(d/2)/√(d + 1).
  private static let amplitude: Float = {
    let d = Double(dimensions)
    return Float(pow(2 * Double.pi, d / 2) / (pow(2, d + 1) * pow(1.5, d / 2) / (d + 1).squareRoot()))
  }()

  private func splat(_ s: ConstFloats) {
    let target = values.0
    target.update(repeating: 0, count: (vertexCount + 1) * Self.channels)
    for pixel in 0..<pixelCount {
      let (s0, s1) = (s[2 * pixel], s[2 * pixel + 1])
      for corner in (pixel * Self.corners)..<((pixel + 1) * Self.corners) {
        let vertex = 2 * Int(vertices[corner])
        target[vertex] += weights[corner] * s0
        target[vertex + 1] += weights[corner] * s1
      }
    }
    (target[0], target[1]) = (0, 0)
  }

  /// Each axis in turn: a vertex and half of its two neighbours. Returns where the result lies.
  private func blur(isReversed: Bool) -> Floats {
    var (from, to) = values
    for step in 0..<Self.corners {
      let axis = isReversed ? Self.corners - 1 - step : step
      (to[0], to[1]) = (0, 0)
      let pairs = neighbours + axis * vertexCount * 2
      for vertex in 1..<max(vertexCount + 1, 1) {
        let (up, down) = (2 * Int(pairs[2 * vertex - 2]), 2 * Int(pairs[2 * vertex - 1]))
        to[2 * vertex] = from[2 * vertex] + 0.5 * (from[up] + from[down])
        to[2 * vertex + 1] = from[2 * vertex + 1] + 0.5 * (from[up + 1] + from[down + 1])
      }
      swap(&from, &to)
    }
    return from
  }

  private func slice(
    _ blurred: ConstFloats, _ s: ConstFloats, gradient: Floats?, factor: Float
  ) -> Double {
    let amplitude = Self.amplitude
    var total = 0.0
    for pixel in 0..<pixelCount {
      var (w0, w1): (Float, Float) = (0, 0)
      for corner in (pixel * Self.corners)..<((pixel + 1) * Self.corners) {
        let vertex = 2 * Int(vertices[corner])
        w0 += weights[corner] * blurred[vertex]
        w1 += weights[corner] * blurred[vertex + 1]
      }
      (w0, w1) = (w0 * amplitude, w1 * amplitude)
      total += Double(s[2 * pixel]) * Double(w0) + Double(s[2 * pixel + 1]) * Double(w1)
      if let gradient {
        gradient[2 * pixel] += factor * w0
        gradient[2 * pixel + 1] += factor * w1
      }
    }
    return total
  }
}
