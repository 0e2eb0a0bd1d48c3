/// Sums in double of each lane, and their totals over the lanes of all ranks.
///
/// Totals follow a binary tree over neighbouring lanes. A rank whose lanes are a whole subtree of it sends one row.
public final class LaneTable: @unchecked Sendable {
  public let lanes: Int
  public let width: Int
  public let base: UnsafeMutablePointer<Double>
  /// Sums of subtrees on their way to the totals: [lanes, width], of which ranks fill a row each, or all.
  public let partial: UnsafeMutablePointer<Double>

  /// [lanes, width], zeros.
  public init(lanes: Int, width: Int) {
    self.lanes = lanes
    self.width = width
    let count = max(lanes * width, 1)
    base = .allocate(capacity: count)
    base.initialize(repeating: 0, count: count)
    partial = .allocate(capacity: count)
    partial.initialize(repeating: 0, count: count)
  }

  deinit {
    base.deallocate()
    partial.deallocate()
  }

  /// A lane's entries [width].
  public func row(_ lane: Int) -> UnsafeMutablePointer<Double> { base + lane * width }

  public func clear() { base.update(repeating: 0, count: lanes * width) }

  /// Whether so many consecutive lanes, from a multiple of their number on, are a subtree.
  public static func isSubtree(_ count: Int) -> Bool { count > 0 && count & (count - 1) == 0 }

  /// Puts the sum of some lanes into a row of `partial`.
  public func sum(lanes range: Range<Int>, toPartial row: Int) {
    sumRows(base + range.lowerBound * width, range.count, into: partial + row * width)
  }

  /// Makes the totals of the first rows of `partial`.
  public func finish(partials count: Int) { sumRows(partial, count, into: partial) }

  /// Σ over the lanes of all ranks of an entry, the same for any number of ranks.
  public func total(_ entry: Int) -> Double { partial[entry] }

  private func sumRows(_ rows: UnsafePointer<Double>, _ count: Int, into target: UnsafeMutablePointer<Double>) {
    withUnsafeTemporaryAllocation(of: Double.self, capacity: max(count, 1)) { column in
      for entry in 0..<width {
        column[0] = 0
        for row in 0..<count { column[row] = rows[row * width + entry] }
        var distance = 1
        while distance < count {
          for row in stride(from: 0, to: count - distance, by: 2 * distance) { column[row] += column[row + distance] }
          distance *= 2
        }
        target[entry] = column[0]
      }
    }
  }
}
