import Foundation

extension RandomStream {
  /// One draw from N(0, 1) by Box and Muller's transform; the second value of the pair is discarded so that the
  /// n-th draw depends on nothing but n.
  public mutating func normal() -> Double {
    let radius = (-2 * log(1 - uniform())).squareRoot()
    return radius * cos(2 * Double.pi * uniform())
  }

  /// One draw from N(0, 1) conditioned on |x| ≤ `cut`, by rejection.
  public mutating func truncatedNormal(cut: Double) -> Double {
    while true {
      let value = normal()
      if abs(value) <= cut { return value }
    }
  }
}
