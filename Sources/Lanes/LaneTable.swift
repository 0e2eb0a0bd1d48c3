/// Sums in double of each lane, which every rank completes with the others' lanes.
public final class LaneTable: @unchecked Sendable {
  public let lanes: Int
  public let width: Int
  public let base: UnsafeMutablePointer<Double>

  /// [lanes, width], zeros.
  public init(lanes: Int, width: Int) {
    self.lanes = lanes
    self.width = width
    base = .allocate(capacity: max(lanes * width, 1))
    base.initialize(repeating: 0, count: max(lanes * width, 1))
  }

  deinit { base.deallocate() }

  /// A lane's entries [width].
  public func row(_ lane: Int) -> UnsafeMutablePointer<Double> { base + lane * width }

  public func clear() { base.update(repeating: 0, count: lanes * width) }

  /// Σ over lanes of an entry, in lane order: the same for any number of ranks.
  public func total(_ entry: Int) -> Double {
    var total = 0.0
    for lane in 0..<lanes { total += base[lane * width + entry] }
    return total
  }
}
