/// Convolutions of stride 1 that keep the grid, on token-major maps: [g·g, channels], row-major positions.
///
/// A k×k convolution is a gather of its k² neighbours (`gatherNeighbours`, [g·g, k·k·C], ordered kernel row,
/// kernel column, channel) and a matrix product with the weight in the same order, [out, k, k, in].

/// What stands beyond the border of a map.
public enum Padding: String, Sendable {
  case zeros
  case replicate
}

/// columns [g·g, 9·C] from x [g·g, C]: the 3×3 neighbourhood of each position.
public func gatherNeighbours(
  _ columns: Floats, _ x: ConstFloats, grid g: Int, channels C: Int, padding: Padding
) {
  for row in 0..<g {
    for column in 0..<g {
      var target = columns + (row * g + column) * 9 * C
      for dr in -1...1 {
        for dc in -1...1 {
          let r = row + dr
          let c = column + dc
          let isInside = r >= 0 && r < g && c >= 0 && c < g
          if isInside {
            copy(target, x + (r * g + c) * C, C)
          } else {
            switch padding {
            case .zeros: clear(target, C)
            case .replicate: copy(target, x + (min(max(r, 0), g - 1) * g + min(max(c, 0), g - 1)) * C, C)
            }
          }
          target += C
        }
      }
    }
  }
}

/// The gradient of `gatherNeighbours`: dx [g·g, C] += what each neighbourhood hands back.
public func gatherNeighboursBackward(
  _ dx: Floats, _ dColumns: ConstFloats, grid g: Int, channels C: Int, padding: Padding
) {
  for row in 0..<g {
    for column in 0..<g {
      var source = dColumns + (row * g + column) * 9 * C
      for dr in -1...1 {
        for dc in -1...1 {
          let r = row + dr
          let c = column + dc
          if r >= 0 && r < g && c >= 0 && c < g {
            accumulate(dx + (r * g + c) * C, source, C)
          } else if padding == .replicate {
            accumulate(dx + (min(max(r, 0), g - 1) * g + min(max(c, 0), g - 1)) * C, source, C)
          }
          source += C
        }
      }
    }
  }
}
