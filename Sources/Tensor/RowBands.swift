// Large maps are convolved a band of rows at a time, so that what is gathered of them stays in the processor's cache.

/// The bands of a map [g·g, C]; they depend on the grid alone.
public struct RowBands: Sendable {
  /// g.
  public let grid: Int
  /// Rows of a band; the last may have fewer.
  public let height: Int

  /// Positions of a band: enough for a product to be worth packing its operands.
  private static let positions = 1024

  public init(grid g: Int) {
    grid = g
    height = min(g, (Self.positions + g - 1) / g)
  }

  public var count: Int { (grid + height - 1) / height }

  public func rows(_ band: Int) -> Range<Int> { (band * height)..<min((band + 1) * height, grid) }
}

/// A row [g, C] of a map between one zero before and `after` zeros behind it.
@inline(__always)
func padRow(_ target: Floats, grid g: Int, channels C: Int, after: Int, _ write: (Floats) -> Void) {
  clear(target, C)
  write(target + C)
  clear(target + (g + 1) * C, after * C)
}

/// The floats that `count` floats take where what follows begins on a cache line.
@inline(__always)
func padded(_ count: Int) -> Int { (count + 15) / 16 * 16 }
