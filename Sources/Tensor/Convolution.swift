// 3×3 convolutions of stride 1 that keep the grid, on token-major maps [g·g, channels], row-major positions.
//
// Of each position only its three neighbours in a row are gathered, for the rows of the grid and one beyond each
// end: triples [(g+2)·g, 3·C]. For a row of the kernel the sources of all outputs are then the same triples moved by
// g rows, so that the convolution is three products added up, and its buffer a third of the gathered neighbourhood.

/// What stands beyond the border of a map.
public enum Padding: String, Sendable {
  case zeros
  case replicate

  /// The position in 0..<g that stands for one of −1...g; nil for a zero.
  fileprivate func source(_ position: Int, grid g: Int) -> Int? {
    if (0..<g).contains(position) { return position }
    return self == .zeros ? nil : min(max(position, 0), g - 1)
  }
}

/// Rows of the triples of a map: (g+2)·g.
public func tripleRows(grid g: Int) -> Int { (g + 2) * g }

/// triples [(g+2)·g, 3·C] from x [g·g, C], each position times its factor where given (h ⊙ α).
public func gatherTriples(
  _ triples: Floats, _ x: ConstFloats, factors: ConstFloats?, grid g: Int, channels C: Int, padding: Padding
) {
  profiled(.gather) {
    for row in -1...g {
      for column in 0..<g {
        let target = triples + ((row + 1) * g + column) * 3 * C
        for tap in 0..<3 {
          guard let r = padding.source(row, grid: g), let c = padding.source(column + tap - 1, grid: g) else {
            clear(target + tap * C, C)
            continue
          }
          let source = r * g + c
          if let factors {
            scaleRows(target + tap * C, x + source * C, factors + source, rows: 1, columns: C)
          } else {
            copy(target + tap * C, x + source * C, C)
          }
        }
      }
    }
  }
}

/// The gradient of `gatherTriples` without factors: dx [g·g, C] is overwritten.
public func gatherTriplesBackward(_ dx: Floats, _ dTriples: ConstFloats, grid g: Int, channels C: Int, padding: Padding)
{
  profiled(.gather) {
    clear(dx, g * g * C)
    for row in -1...g {
      guard let r = padding.source(row, grid: g) else { continue }
      for column in 0..<g {
        let source = dTriples + ((row + 1) * g + column) * 3 * C
        for tap in 0..<3 {
          guard let c = padding.source(column + tap - 1, grid: g) else { continue }
          accumulate(dx + (r * g + c) * C, source + tap * C, C)
        }
      }
    }
  }
}

/// y [g·g, out] = the convolution of triples [(g+2)·g, 3·in] by weight [out, 3, 3, in].
public func convolve(_ y: Floats, _ triples: ConstFloats, weight: ConstFloats, grid g: Int, inputs: Int, outputs: Int) {
  let k = 3 * inputs
  for row in 0..<3 {
    multiplyTransposed(
      y, triples + row * g * k, weight + row * k, m: g * g, n: outputs, k: k, strideW: 3 * k, beta: row == 0 ? 0 : 1)
  }
}

/// The gradient of `convolve` with respect to its triples: dTriples [(g+2)·g, 3·in] is overwritten.
public func convolveInputBackward(
  _ dTriples: Floats, _ dy: ConstFloats, weight: ConstFloats, grid g: Int, inputs: Int, outputs: Int
) {
  let k = 3 * inputs
  clear(dTriples, tripleRows(grid: g) * k)
  for row in 0..<3 {
    multiply(dTriples + row * g * k, dy, weight + row * k, m: g * g, n: outputs, k: k, strideW: 3 * k, beta: 1)
  }
}

/// The gradients of `convolve`: dWeight [out, 3, 3, in] is added to; dTriples [(g+2)·g, 3·in] is overwritten where
/// given.
public func convolveBackward(
  dTriples: Floats?, dWeight: Floats, _ dy: ConstFloats, _ triples: ConstFloats, weight: ConstFloats, grid g: Int,
  inputs: Int, outputs: Int
) {
  let k = 3 * inputs
  for row in 0..<3 {
    multiplyOuter(dWeight + row * k, dy, triples + row * g * k, m: g * g, n: outputs, k: k, strideDW: 3 * k)
  }
  guard let dTriples else { return }
  convolveInputBackward(dTriples, dy, weight: weight, grid: g, inputs: inputs, outputs: outputs)
}
