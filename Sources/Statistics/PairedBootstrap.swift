import Randomness

/// A paired bootstrap: whether two things that were measured on the same items differ in their mean, by drawing the
/// items again with replacement.
public struct PairedBootstrap: Sendable {
  public let draws: Int
  private let seed: UInt64
  private let stream: String

  /// - Parameters:
  ///   - draws: B.
  ///   - seed, stream: of the items drawn. Draw b takes n integers below n from the stream of index b, whatever is
  ///     measured, so that anyone can make the same draws.
  public init(draws: Int, seed: UInt64, stream: String) {
    precondition(draws > 0)
    (self.draws, self.seed, self.stream) = (draws, seed, stream)
  }

  /// A sum of differences that is smaller than this share of their magnitudes' is zero but for rounding.
  private static let rounding = 1e-12

  /// Two-sided p of each series of differences: twice the smaller of (1 + #{d* ≤ 0}) / (1 + B) and
  /// (1 + #{d* ≥ 0}) / (1 + B), at most 1, where d* is the mean difference of a draw. All series are of the same items
  /// and see the same draws.
  ///
  /// - Returns: nil for a series whose differences are all alike, or fewer than two: it has no variance.
  public func pValues(_ series: [[Double]]) -> [Double?] {
    let count = series.first?.count ?? 0
    precondition(series.allSatisfy { $0.count == count })
    let varying = series.indices.filter { index in series[index].contains { $0 != series[index][0] } }
    guard count > 1, !varying.isEmpty else { return series.map { _ in nil } }
    let limits = series.map { $0.reduce(0) { max($0, abs($1)) } * Double(count) * Self.rounding }
    var (notAbove, notBelow) = ([Int](repeating: 0, count: series.count), [Int](repeating: 0, count: series.count))
    for draw in 0..<draws {
      let times = multiplicities(draw, of: count)
      for index in varying {
        let sum = Self.dot(times, series[index])
        if sum <= limits[index] { notAbove[index] += 1 }
        if sum >= -limits[index] { notBelow[index] += 1 }
      }
    }
    var result = [Double?](repeating: nil, count: series.count)
    for index in varying {
      result[index] = min(1, 2 * Double(1 + min(notAbove[index], notBelow[index])) / Double(1 + draws))
    }
    return result
  }

  /// How often a draw takes each item.
  private func multiplicities(_ draw: Int, of count: Int) -> [Double] {
    var stream = RandomStream(seed: seed, name: stream, index: UInt64(draw))
    var times = [Double](repeating: 0, count: count)
    for _ in 0..<count { times[stream.integer(below: count)] += 1 }
    return times
  }

  private static func dot(_ one: [Double], _ other: [Double]) -> Double {
    one.withUnsafeBufferPointer { one in
      other.withUnsafeBufferPointer { other in
        var sum = 0.0
        for index in one.indices { sum += one[index] * other[index] }
        return sum
      }
    }
  }
}
