import VectorKernels
import WideVectorKernels

// Pooling on token-major maps [g·g, channels].

/// y [h·h, C] = the maxima of 2×2 cells of x [g·g, C], h = ⌊g/2⌋. `winners` [h·h, C] keeps each maximum's place
/// (0…3; the first in row-major order among equals).
public func maxPool(_ y: Floats, winners: UnsafeMutablePointer<UInt8>?, _ x: ConstFloats, grid g: Int, channels C: Int)
{
  profiled(.pooling) {
    let h = g / 2
    for row in 0..<h {
      for column in 0..<h {
        let target = (row * h + column) * C
        let corner = x + (2 * row * g + 2 * column) * C
        for c in 0..<C {
          var best = corner[c]
          var place: UInt8 = 0
          let others = (corner[C + c], corner[g * C + c], corner[(g + 1) * C + c])
          if others.0 > best { best = others.0; place = 1 }
          if others.1 > best { best = others.1; place = 2 }
          if others.2 > best { best = others.2; place = 3 }
          y[target + c] = best
          winners?[target + c] = place
        }
      }
    }
  }
}

/// The gradient of `maxPool`: dx [g·g, C] is overwritten.
public func maxPoolBackward(
  _ dx: Floats, _ dy: ConstFloats, winners: UnsafePointer<UInt8>, grid g: Int, channels C: Int
) {
  profiled(.pooling) {
    clear(dx, g * g * C)
    let h = g / 2
    for row in 0..<h {
      for column in 0..<h {
        let source = (row * h + column) * C
        for c in 0..<C {
          let place = Int(winners[source + c])
          dx[((2 * row + place / 2) * g + 2 * column + place % 2) * C + c] = dy[source + c]
        }
      }
    }
  }
}

/// y [C] = the mean over the rows of x [rows, C].
public func globalAveragePool(_ y: Floats, _ x: ConstFloats, rows: Int, channels C: Int) {
  profiled(.pooling) {
    clear(y, C)
    accumulateRows(y, x, rows: rows, columns: C)
    scale(y, by: 1 / Float(rows), C)
  }
}

/// The gradient of `globalAveragePool`: dx [rows, C] = dy/rows, or is added to.
public func globalAveragePoolBackward(
  _ dx: Floats, _ dy: ConstFloats, rows: Int, channels C: Int, adding: Bool = false
) {
  profiled(.pooling) {
    let factor = 1 / Float(rows)
    isWide
      ? WideVectorKernels.spreadRow(dx, dy, by: factor, rows: rows, columns: C, adding: adding)
      : VectorKernels.spreadRow(dx, dy, by: factor, rows: rows, columns: C, adding: adding)
  }
}
