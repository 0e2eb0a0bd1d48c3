import Foundation
import Randomness

/// The two controls that every table needs: maps that have seen no image.

/// A Gaussian about the centre of the grid, with a standard deviation of 5/14 of its side.
public func centredGaussian(grid g: Int) -> [Float] {
  let centre = Double(g - 1) / 2
  let sd = 5.0 / 14 * Double(g)
  return (0..<(g * g)).map { index in
    let (y, x) = (Double(index / g) - centre, Double(index % g) - centre)
    return Float(exp(-(x * x + y * y) / (2 * sd * sd)))
  }
}

/// Independent uniform values, a pure function of (seed, image id).
public func randomMap(grid g: Int, seed: UInt64, imageID: Int) -> [Float] {
  var stream = RandomStream(seed: seed, name: "control.random", index: UInt64(imageID))
  return (0..<(g * g)).map { _ in Float(stream.uniform()) }
}
