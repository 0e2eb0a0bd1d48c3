import Foundation

/// I_x(a, b), the regularised incomplete beta function: the distribution function of a beta variable, by which Student's
/// t has its tail.
///
/// - Parameters:
///   - x: in [0, 1].
///   - a, b: positive.
func regularisedIncompleteBeta(_ x: Double, _ a: Double, _ b: Double) -> Double {
  precondition(a > 0 && b > 0 && (0...1).contains(x))
  if x == 0 || x == 1 { return x }
  // The continued fraction converges fast below this point; above it the other tail's does.
  guard x <= (a + 1) / (a + b + 2) else { return 1 - regularisedIncompleteBeta(1 - x, b, a) }
  // x^a (1 − x)^b / (a B(a, b)), whose logarithm does not underflow.
  let logFront = a * log(x) + b * log1p(-x) - (lgamma(a) + lgamma(b) - lgamma(a + b)) - log(a)
  return exp(logFront) * continuedFraction(x, a, b)
}

/// The continued fraction of the incomplete beta function by Lentz's method (Abramowitz and Stegun, 26.5.8).
private func continuedFraction(_ x: Double, _ a: Double, _ b: Double) -> Double {
  let tiny = 1e-300
  func kept(_ value: Double) -> Double { abs(value) < tiny ? tiny : value }
  var c = 1.0
  var d = 1 / kept(1 - (a + b) * x / (a + 1))
  var result = d
  for m in 1...10_000 {
    let m = Double(m)
    for term in [
      m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
    ] {
      d = 1 / kept(1 + term * d)
      c = kept(1 + term / c)
      result *= c * d
    }
    if abs(c * d - 1) < 1e-15 { break }
  }
  return result
}
