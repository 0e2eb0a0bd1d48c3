/// Position embeddings resampled to another grid: bicubic, antialiased, a = −0.5, half-pixel centres, as open_clip
/// does it when it loads a checkpoint.
///
/// - Returns: [to·to, width] from the patch part [from·from, width]; the class position is the caller's.
func interpolatePositions(_ values: [Float], from: Int, to: Int, width: Int) -> [Float] {
  let taps = bicubicTaps(from: from, to: to)
  var rows = [Double](repeating: 0, count: to * from * width)
  for target in 0..<to {
    for (source, weight) in taps[target] {
      for column in 0..<from {
        for d in 0..<width {
          rows[(target * from + column) * width + d] += weight * Double(values[(source * from + column) * width + d])
        }
      }
    }
  }
  var result = [Double](repeating: 0, count: to * to * width)
  for row in 0..<to {
    for target in 0..<to {
      for (source, weight) in taps[target] {
        for d in 0..<width {
          result[(row * to + target) * width + d] += weight * rows[(row * from + source) * width + d]
        }
      }
    }
  }
  return result.map { Float($0) }
}

/// For each target position, the source positions and weights (which sum to 1).
private func bicubicTaps(from: Int, to: Int) -> [[(Int, Double)]] {
  let scale = Double(from) / Double(to)
  let stretch = max(scale, 1)
  let support = 2 * stretch
  return (0..<to).map { target in
    let centre = scale * (Double(target) + 0.5)
    let first = max(Int(centre - support + 0.5), 0)
    let last = min(Int(centre + support + 0.5), from)
    let weights = (first..<last).map { cubic((Double($0) - centre + 0.5) / stretch) }
    let total = weights.reduce(0, +)
    return zip(first..<last, weights).map { ($0, $1 / total) }
  }
}

/// Keys' cubic with a = −0.5.
private func cubic(_ x: Double) -> Double {
  let a = -0.5
  let t = abs(x)
  if t < 1 { return ((a + 2) * t - (a + 3)) * t * t + 1 }
  if t < 2 { return (((t - 5) * t + 8) * t - 4) * a }
  return 0
}
