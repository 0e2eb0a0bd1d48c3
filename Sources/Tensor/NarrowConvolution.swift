// A 3×3 convolution to a few channels, with zeros beyond the border, in bands of rows.
//
// Every position is multiplied with all nine taps' weights at once, and the products are added up where they belong:
// with few outputs these are fewer than gathered inputs would be.

/// The floats of scratch of `convolveNarrow` and, where larger, of its gradient.
public func narrowConvolutionScratch(grid g: Int, inputs: Int, outputs: Int, isTraining: Bool) -> Int {
  let height = RowBands(grid: g).height
  let forward = padded(height * g * inputs) + padded((height + 2) * g * 9 * outputs)
  guard isTraining else { return forward }
  return max(forward, padded(height * g * inputs) + padded(height * g * 9 * outputs))
}

/// y [g·g, outputs] = the convolution of x [g·g, inputs] by weight [outputs, 3, 3, inputs], plus bias [outputs].
///
/// - Parameter rows: writes rows [rows·g, inputs] of x; asked for each once, in their order.
public func convolveNarrow(
  _ y: Floats, weight: ConstFloats, bias: ConstFloats, grid g: Int, inputs: Int, outputs: Int, scratch: Floats,
  rows write: (Floats, Range<Int>) -> Void
) {
  let bands = RowBands(grid: g)
  let x = scratch
  let products = x + padded(bands.height * g * inputs)
  let width = g * 9 * outputs
  // The products of the row before a band come first.
  func make(_ rows: Range<Int>, at place: Int) {
    write(x, rows)
    multiplyTransposed(products + place * width, x, weight, m: rows.count * g, n: 9 * outputs, k: inputs)
  }
  clear(products, width)
  make(0..<1, at: 1)
  for band in 0..<bands.count {
    let rows = bands.rows(band)
    let next = (rows.lowerBound + 1)..<min(rows.upperBound + 1, g)
    if !next.isEmpty { make(next, at: 2) }
    if rows.upperBound == g { clear(products + (rows.count + 1) * width, width) }
    profiled(.gather) {
      for (place, row) in rows.enumerated() {
        for column in 0..<g {
          let target = y + (row * g + column) * outputs
          for o in 0..<outputs {
            var sum = bias[o]
            for tap in 0..<9 {
              let c = column + tap % 3 - 1
              if c >= 0, c < g { sum += products[(place + tap / 3) * width + (c * outputs + o) * 9 + tap] }
            }
            target[o] = sum
          }
        }
      }
    }
    copy(products, products + rows.count * width, 2 * width)
  }
}

/// The gradient of `convolveNarrow`: dWeight and dBias are added to, dx [g·g, inputs] is overwritten.
///
/// - Parameters:
///   - rows: writes rows of x; asked for each once, in their order.
///   - finish: told of rows of dx that are there.
public func convolveNarrowBackward(
  _ dx: Floats, dWeight: Floats, dBias: Floats, _ dy: ConstFloats, weight: ConstFloats, grid g: Int, inputs: Int,
  outputs: Int, scratch: Floats, rows write: (Floats, Range<Int>) -> Void, finish: (Range<Int>) -> Void
) {
  let bands = RowBands(grid: g)
  let x = scratch
  let dProducts = x + padded(bands.height * g * inputs)
  accumulateRows(dBias, dy, rows: g * g, columns: outputs)
  for band in 0..<bands.count {
    let rows = bands.rows(band)
    let m = rows.count * g
    profiled(.gather) {
      for (place, row) in rows.enumerated() {
        for column in 0..<g {
          let target = dProducts + (place * g + column) * 9 * outputs
          for tap in 0..<9 {
            let (r, c) = (row - (tap / 3 - 1), column - (tap % 3 - 1))
            let isInside = r >= 0 && r < g && c >= 0 && c < g
            for o in 0..<outputs { target[o * 9 + tap] = isInside ? dy[(r * g + c) * outputs + o] : 0 }
          }
        }
      }
    }
    write(x, rows)
    multiply(dx + rows.lowerBound * g * inputs, dProducts, weight, m: m, n: 9 * outputs, k: inputs)
    multiplyOuter(dWeight, dProducts, x, m: m, n: 9 * outputs, k: inputs)
    finish(rows)
  }
}

extension ProductCount {
  /// The products of `convolveNarrow` and of its gradient.
  public mutating func narrowConvolution(grid g: Int, inputs: Int, outputs: Int, isBackward: Bool) {
    let bands = RowBands(grid: g)
    if isBackward {
      for band in 0..<bands.count {
        let m = bands.rows(band).count * g
        add(.input, m: m, n: inputs, k: 9 * outputs)
        add(.weight, m: 9 * outputs, n: inputs, k: m)
      }
    } else {
      add(.forward, m: g * g, n: 9 * outputs, k: inputs)
    }
  }
}
