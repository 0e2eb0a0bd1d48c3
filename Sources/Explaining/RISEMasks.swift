import Randomness

/// RISE's masks (Petsiuk, Das, Saenko, "RISE", BMVC 2018): an s × s grid of cells that are kept with probability p,
/// enlarged linearly to (s + 1)·cell pixels a side, and cut to S × S at a random offset below a cell. A mask is a pure
/// function of (seed, its number), so that none has to be kept, and a run with fewer is the beginning of one with more.
package struct RISEMasks: Sendable {
  /// S.
  let side: Int
  /// s.
  let cells: Int
  /// p.
  let keep: Double
  let seed: UInt64

  package init(side: Int, cells: Int, keep: Double, seed: UInt64) {
    self.side = side
    self.cells = cells
    self.keep = keep
    self.seed = seed
  }

  /// Pixels of a cell: ⌈S/s⌉.
  private var cell: Int { (side + cells - 1) / cells }

  /// Mask `number` [S, S], in [0, 1].
  package func mask(_ number: Int) -> [Float] {
    var stream = RandomStream(seed: seed, name: "rise.mask", index: UInt64(number))
    let grid = (0..<(cells * cells)).map { _ in stream.uniform() < keep ? Float(1) : 0 }
    let top = stream.integer(below: cell)
    let left = stream.integer(below: cell)
    return Self.enlarge(grid, cells: cells, cell: cell, rows: top..<(top + side), columns: left..<(left + side))
  }

  /// A part of a grid [cells, cells] enlarged to (cells + 1)·cell pixels a side: linear, with half-pixel centres, and
  /// mirrored about the centres of the outer cells.
  package static func enlarge(_ grid: [Float], cells: Int, cell: Int, rows: Range<Int>, columns: Range<Int>) -> [Float]
  {
    let (across, down) = (taps(columns, cells, cell), taps(rows, cells, cell))
    let wide = (0..<cells).map { row in
      across.map { tap in
        let low = grid[row * cells + tap.low]
        return low + tap.weight * (grid[row * cells + tap.high] - low)
      }
    }
    var result = [Float](repeating: 0, count: rows.count * columns.count)
    result.withUnsafeMutableBufferPointer { target in
      for (y, tap) in down.enumerated() {
        wide[tap.low].withUnsafeBufferPointer { low in
          wide[tap.high].withUnsafeBufferPointer { high in
            for x in 0..<low.count { target[y * low.count + x] = low[x] + tap.weight * (high[x] - low[x]) }
          }
        }
      }
    }
    return result
  }

  private static func taps(_ places: Range<Int>, _ cells: Int, _ cell: Int) -> [(low: Int, high: Int, weight: Float)] {
    places.map { place in
      let last = Double(cells - 1)
      var position = abs((Double(place) + 0.5) * Double(cells) / Double((cells + 1) * cell) - 0.5)
      if position > last { position = max(2 * last - position, 0) }
      let low = min(Int(position), cells - 1)
      return (low, min(low + 1, cells - 1), Float(position - Double(low)))
    }
  }
}
