// 3×3 convolutions of stride 1 with zeros beyond the border, on large token-major maps [g·g, channels], in bands of
// rows. Rows are asked of the caller, each once and in their order, who makes them of what it keeps: the activation of
// a map before its norm, say. So no map is kept twice, and no more is gathered than a band.
//
// As in `convolve`, the three neighbours in a row are gathered, and a band is three products added up. The gradient is
// a convolution by the mirrored kernel, of dy's neighbours: these serve the weight's gradient, too.

/// One row's triples [g, 3·C], of a row [g, C]; nil is a row of zeros.
private func gatherTriples(_ target: Floats, row: ConstFloats?, grid g: Int, channels C: Int) {
  profiled(.gather) {
    guard let row else { return target.update(repeating: 0, count: g * 3 * C) }
    target.update(repeating: 0, count: C)
    for column in 0..<g {
      let first = max(column - 1, 0)
      let count = min(column + 2, g) - first
      (target + (column * 3 + (first - column + 1)) * C).update(from: row + first * C, count: count * C)
    }
    (target + (g * 3 - 1) * C).update(repeating: 0, count: C)
  }
}

/// The triples of a band and of one row beyond either end [(height + 2)·g, 3·C], moved on from band to band.
private struct TripleBand {
  private let triples: Floats
  private let row: Floats
  private let grid: Int
  private let channels: Int
  private let source: (Floats, Int) -> Void

  static func count(_ bands: RowBands, channels C: Int) -> Int {
    padded(bands.grid * C) + padded((bands.height + 2) * bands.grid * 3 * C)
  }

  init(_ scratch: Floats, grid: Int, channels: Int, source: @escaping (Floats, Int) -> Void) {
    row = scratch
    triples = scratch + padded(grid * channels)
    self.grid = grid
    self.channels = channels
    self.source = source
    gather(-1, at: 0)
    gather(0, at: 1)
  }

  private var rowCount: Int { grid * 3 * channels }

  private func gather(_ index: Int, at place: Int) {
    let isInside = (0..<grid).contains(index)
    if isInside { source(row, index) }
    gatherTriples(triples + place * rowCount, row: isInside ? ConstFloats(row) : nil, grid: grid, channels: channels)
  }

  /// Completes a band's triples; the one before it comes first.
  func gather(_ rows: Range<Int>) {
    for (place, index) in rows.enumerated() { gather(index + 1, at: place + 2) }
  }

  /// The triples of the rows `offset` − 1 from a band's, `offset` 0…2.
  func from(_ offset: Int) -> Floats { triples + offset * rowCount }

  /// Keeps what the next band begins with.
  func moveOn(_ rows: Range<Int>) { copy(triples, triples + rows.count * rowCount, 2 * rowCount) }
}

/// The floats of scratch of `convolveBands` and, where larger, of its gradient.
public func bandedConvolutionScratch(grid g: Int, inputs: Int, outputs: Int, isTraining: Bool) -> Int {
  let bands = RowBands(grid: g)
  let forward = TripleBand.count(bands, channels: inputs)
  guard isTraining else { return forward }
  let backward =
    TripleBand.count(bands, channels: outputs) + padded(bands.height * g * inputs) + 2 * padded(9 * inputs * outputs)
  return max(forward, backward)
}

/// y [g·g, outputs] = the convolution of x [g·g, inputs] by weight [outputs, 3, 3, inputs].
///
/// - Parameter row: writes a row [g, inputs] of x; asked for each once, in their order.
public func convolveBands(
  _ y: Floats, weight: ConstFloats, grid g: Int, inputs: Int, outputs: Int, scratch: Floats,
  row: (Floats, Int) -> Void
) {
  let bands = RowBands(grid: g)
  let k = 3 * inputs
  withoutActuallyEscaping(row) { row in
    let triples = TripleBand(scratch, grid: g, channels: inputs, source: row)
    for band in 0..<bands.count {
      let rows = bands.rows(band)
      triples.gather(rows)
      for tap in 0..<3 {
        multiplyTransposed(
          y + rows.lowerBound * g * outputs, triples.from(tap), weight + tap * k, m: rows.count * g, n: outputs, k: k,
          strideW: 3 * k, beta: tap == 0 ? 0 : 1)
      }
      triples.moveOn(rows)
    }
  }
}

/// The gradient of `convolveBands`: dWeight [outputs, 3, 3, inputs] is added to, dx [g·g, inputs] is overwritten, a band
/// at a time: of its rows after dy's row behind them has been asked for, so that dx may lie where dy is made of.
///
/// - Parameters:
///   - dyRow: writes a row [g, outputs] of dy; asked for each once, in their order.
///   - xRow: writes a row [g, inputs] of x; the same.
///   - finish: told of rows of dx that are there.
public func convolveBandsBackward(
  _ dx: Floats, dWeight: Floats, weight: ConstFloats, grid g: Int, inputs: Int, outputs: Int, scratch: Floats,
  dyRow: (Floats, Int) -> Void, xRow: (Floats, Int) -> Void, finish: (Range<Int>) -> Void
) {
  let bands = RowBands(grid: g)
  let mirrored = scratch
  let dMirrored = mirrored + padded(9 * inputs * outputs)
  let x = dMirrored + padded(9 * inputs * outputs)
  let size = 3 * outputs * inputs
  mirror(mirrored, weight, inputs: inputs, outputs: outputs)
  clear(dMirrored, 3 * size)
  withoutActuallyEscaping(dyRow) { dyRow in
    let triples = TripleBand(
      x + padded(bands.height * g * inputs), grid: g, channels: outputs, source: dyRow)
    for band in 0..<bands.count {
      let rows = bands.rows(band)
      let m = rows.count * g
      triples.gather(rows)
      for (place, index) in rows.enumerated() { xRow(x + place * g * inputs, index) }
      let target = dx + rows.lowerBound * g * inputs
      for tap in 0..<3 {
        let dy = triples.from(tap)
        multiply(target, dy, mirrored + tap * size, m: m, n: 3 * outputs, k: inputs, beta: tap == 0 ? 0 : 1)
        multiplyOuter(dMirrored + tap * size, dy, x, m: m, n: 3 * outputs, k: inputs)
      }
      finish(rows)
      triples.moveOn(rows)
    }
  }
  mirrorBackward(dWeight, dMirrored, inputs: inputs, outputs: outputs)
}

/// mirrored [3, 3, outputs, inputs] of weight [outputs, 3, 3, inputs]: rows and columns of the kernel from its end.
private func mirror(_ mirrored: Floats, _ weight: ConstFloats, inputs: Int, outputs: Int) {
  profiled(.gather) {
    for tap in 0..<9 {
      for o in 0..<outputs {
        (mirrored + (tap * outputs + o) * inputs).update(from: weight + (o * 9 + 8 - tap) * inputs, count: inputs)
      }
    }
  }
}

/// The gradient of `mirror`: dWeight is added to.
private func mirrorBackward(_ dWeight: Floats, _ dMirrored: ConstFloats, inputs: Int, outputs: Int) {
  profiled(.gather) {
    for tap in 0..<9 {
      for o in 0..<outputs {
        accumulate(dWeight + (o * 9 + 8 - tap) * inputs, dMirrored + (tap * outputs + o) * inputs, inputs)
      }
    }
  }
}
