import Foundation

/// Insertion and deletion (docs/model.md, "Insertion and deletion"; Petsiuk et al., "RISE", BMVC 2018): which pixels
/// are there at each point of a curve, and its area. The model's part is in `Training`.

/// What stands for an absent pixel.
public enum Substrate: String, CaseIterable, Sendable {
  /// 0 in pixel space, before normalisation.
  case zero
  /// The mean colour that the encoder's normalisation subtracts.
  case mean
  /// The image itself, blurred: an 11×11 Gaussian of σ 5 pixels, the mean colour beyond the border.
  case blur

  /// What stands for each pixel of a view [side, side, 3], in 0…255.
  ///
  /// - Parameter means: of the channels, in 0…255.
  public func levels(of pixels: [UInt8], side: Int, means: [Float]) -> [Float] {
    var levels = [Float](repeating: 0, count: side * side * 3)
    switch self {
    case .zero: break
    case .mean: for index in levels.indices { levels[index] = means[index % 3] }
    case .blur:
      for index in levels.indices { levels[index] = Float(pixels[index]) - means[index % 3] }
      levels = gaussianBlur(levels, side: side, channels: 3, radius: 5, sigma: 5)
      for index in levels.indices { levels[index] += means[index % 3] }
    }
    return levels
  }
}

/// The points of a curve, for one map.
public struct PerturbationPlan: Equatable, Sendable {
  /// Pixel indices [S·S], those that matter most first.
  public let order: [Int32]
  /// Of each point, how many of them are revealed (insertion) or taken away (deletion).
  public let counts: [Int]
  /// Of each point, its place on the curve's axis in [0, 1].
  public let fractions: [Double]

  /// Descending values of the upsampled map, ties by row-major index; points 0, S²/steps, …, S², rounded.
  public init(map: [Float], steps: Int) {
    order = descendingOrder(map)
    let pixels = map.count
    counts = (0...steps).map { (2 * $0 * pixels + steps) / (2 * steps) }
    fractions = (0...steps).map { Double($0) / Double(steps) }
  }

  /// Points of a curve by the authors' earlier protocol.
  static let labPoints = 48

  /// The authors' earlier protocol (docs/model.md, "The authors' earlier protocol"): the map in 8 bits, then in three
  /// levels (below the middle of its range, above, and its maximum); 48 points from 1/48 on, each with every pixel of a
  /// level that it reaches into.
  public init(labMap map: [Float]) {
    let points = Self.labPoints
    let levels = normalised(map).map { value -> Float in
      let level = (255 * value).rounded(.down)
      return level >= 255 ? 2 : level >= 127.5 ? 1 : 0
    }
    order = descendingOrder(levels)
    let pixels = map.count
    let ends = [levels.count { $0 == 2 }, levels.count { $0 >= 1 }, pixels]
    counts = (1...points).map { point in
      let reached = point * pixels / points
      return ends.first { $0 >= reached } ?? pixels
    }
    fractions = (1...points).map { Double($0) / Double(points) }
  }

  /// The area under a curve over its axis, by the trapezoid rule.
  public func area(_ values: [Double]) -> Double { areaUnderCurve(values, at: fractions) }
}

/// The pixels of a map in descending order of value; equal values by index.
public func descendingOrder(_ map: [Float]) -> [Int32] {
  // One sort key holds both: the value's bits made ascending for descending values, then the index.
  let keys = map.enumerated().map { index, value -> UInt64 in
    let bits = (value == 0 ? 0 : value).bitPattern
    let ascending = bits & 0x8000_0000 == 0 ? bits | 0x8000_0000 : ~bits
    return UInt64(~ascending) << 32 | UInt64(index)
  }.sorted()
  return keys.map { Int32(truncatingIfNeeded: $0) }
}

/// Σ (xᵢ₊₁ − xᵢ)·(yᵢ + yᵢ₊₁)/2.
public func areaUnderCurve(_ values: [Double], at x: [Double]) -> Double {
  var area = 0.0
  for i in 1..<max(values.count, 1) { area += (x[i] - x[i - 1]) * (values[i] + values[i - 1]) / 2 }
  return area
}

/// A Gaussian blur of `channels` interleaved planes [side, side, channels]: normalised weights, zeros beyond the
/// border.
///
/// - Parameters:
///   - radius: the kernel has 2·radius + 1 taps a side.
///   - sigma: pixels.
public func gaussianBlur(_ image: [Float], side: Int, channels: Int, radius: Int, sigma: Double) -> [Float] {
  let taps = gaussianTaps(radius: radius, sigma: sigma)
  func along(_ source: [Float], _ stride: Int, position: (Int) -> Int) -> [Float] {
    var result = [Float](repeating: 0, count: source.count)
    for index in source.indices {
      let place = position(index)
      var sum: Float = 0
      for offset in -radius...radius where place + offset >= 0 && place + offset < side {
        sum += taps[offset + radius] * source[index + offset * stride]
      }
      result[index] = sum
    }
    return result
  }
  let rows = along(image, channels) { $0 / channels % side }
  return along(rows, channels * side) { $0 / channels / side }
}

/// exp(−x²/2σ²) for x = −radius…radius, with sum 1.
func gaussianTaps(radius: Int, sigma: Double) -> [Float] {
  let values = (-radius...radius).map { exp(-Double($0 * $0) / (2 * sigma * sigma)) }
  let total = values.reduce(0, +)
  return values.map { Float($0 / total) }
}
