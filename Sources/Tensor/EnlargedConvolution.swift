// A 3×3 convolution of a map that is enlarged ×2 by nearest neighbours, without enlarging it.
//
// An output of a cell's upper row sees the source row above by the kernel's first row and its own by the sum of the
// two others; one of the lower row the other way round; and so across. So each of a cell's four outputs is a 2×2
// convolution of the source by sums of weights: 16 products of a source position instead of 36. Seen from the source, a
// position reaches the 4×4 outputs around its cell, by the same sums.

/// The kernel's rows (or columns) that are summed for the outputs one before a cell, in it, and one behind it.
private let summed = [2...2, 1...2, 0...1, 0...0]

/// For output `half` (0, 1) of a cell, the sum by which it sees its first and second source.
@inline(__always)
private func sumIndex(half: Int, source: Int) -> Int { half == 0 ? (source == 0 ? 3 : 1) : (source == 0 ? 2 : 0) }

/// sums [4, 4, outputs, inputs] of weight [outputs, 3, 3, stride], of whose inputs the first are taken.
public func sumWeights(_ sums: Floats, _ weight: ConstFloats, inputs: Int, stride: Int, outputs: Int) {
  profiled(.gather) {
    for (i, rows) in summed.enumerated() {
      for (j, columns) in summed.enumerated() {
        for o in 0..<outputs {
          let target = sums + ((i * 4 + j) * outputs + o) * inputs
          target.update(repeating: 0, count: inputs)
          for row in rows {
            for column in columns { accumulate(target, weight + (o * 9 + row * 3 + column) * stride, inputs) }
          }
        }
      }
    }
  }
}

/// The gradient of the sums [row, column…column + 1, outputs, inputs]: dWeight [outputs, 3, 3, stride] is added to.
private func sumWeightsBackward(
  _ dWeight: Floats, _ dSums: ConstFloats, row i: Int, column first: Int, inputs: Int, stride: Int, outputs: Int
) {
  profiled(.gather) {
    for j in first..<(first + 2) {
      for o in 0..<outputs {
        let source = dSums + ((j - first) * outputs + o) * inputs
        for row in summed[i] {
          for column in summed[j] { accumulate(dWeight + (o * 9 + row * 3 + column) * stride, source, inputs) }
        }
      }
    }
  }
}

/// The floats of scratch of `convolveEnlarged` and, where larger, of its gradient.
///
/// - Parameter grid: of the source.
public func enlargedConvolutionScratch(grid g: Int, inputs: Int, outputs: Int, isTraining: Bool) -> Int {
  let height = RowBands(grid: g).height
  let forward = padded((height + 2) * (g + 2) * inputs) + 4 * padded(height * (g + 2) * outputs)
  guard isTraining else { return forward }
  let backward =
    2 * padded((height + 1) * (g + 1) * 2 * outputs) + 2 * padded(height * (g + 1) * inputs)
    + padded(2 * outputs * inputs)
  return max(forward, backward)
}

/// y [2g·2g, outputs] = the convolution of x [g·g, inputs], enlarged, by the weight of `sums`, plus what `add` says.
///
/// - Parameters:
///   - sums: of `sumWeights`.
///   - row: writes a row [g, inputs] of x; asked for each once, in their order.
///   - add: adds its own to a row [2g, outputs] of y.
public func convolveEnlarged(
  _ y: Floats, sums: ConstFloats, grid g: Int, inputs: Int, outputs: Int, scratch: Floats,
  row: (Floats, Int) -> Void, add: (Floats, Int) -> Void
) {
  let bands = RowBands(grid: g)
  let width = (g + 2) * inputs
  let phases = scratch + padded((bands.height + 2) * width)
  let phaseCount = padded(bands.height * (g + 2) * outputs)
  func fill(_ index: Int, at place: Int) {
    let target = scratch + place * width
    guard (0..<g).contains(index) else { return clear(target, width) }
    padRow(target, grid: g, channels: inputs, after: 1) { row($0, index) }
  }
  fill(-1, at: 0)
  fill(0, at: 1)
  for band in 0..<bands.count {
    let rows = bands.rows(band)
    for (place, index) in rows.enumerated() { fill(index + 1, at: place + 2) }
    // Between two rows the products pass over their zeros; what they leave there is not read.
    let m = rows.count * (g + 2) - 2
    for phase in 0..<4 {
      let (down, across) = (phase / 2, phase % 2)
      for tap in 0..<4 {
        let (i, j) = (tap / 2, tap % 2)
        let sum = sumIndex(half: down, source: i) * 4 + sumIndex(half: across, source: j)
        multiplyTransposed(
          phases + phase * phaseCount, scratch + (down + i) * width + (across + j) * inputs,
          sums + sum * outputs * inputs, m: m, n: outputs, k: inputs, beta: tap == 0 ? 0 : 1)
      }
    }
    for (place, index) in rows.enumerated() {
      for down in 0..<2 {
        let target = y + (2 * index + down) * 2 * g * outputs
        let source = phases + 2 * down * phaseCount + place * (g + 2) * outputs
        interleave(target, source, source + phaseCount, grid: g, channels: outputs)
        add(target, 2 * index + down)
      }
    }
    copy(scratch, scratch + rows.count * width, 2 * width)
  }
}

/// y [2g, C] = the positions of a [g, C] and b [g, C] in turns.
private func interleave(_ y: Floats, _ a: ConstFloats, _ b: ConstFloats, grid g: Int, channels C: Int) {
  profiled(.gather) {
    for column in 0..<g {
      (y + 2 * column * C).update(from: a + column * C, count: C)
      (y + (2 * column + 1) * C).update(from: b + column * C, count: C)
    }
  }
}

/// The gradient of `convolveEnlarged`: dWeight [outputs, 3, 3, stride] is added to, of whose inputs the first; dx is
/// told row by row.
///
/// - Parameters:
///   - dyRow: writes a row [2g, outputs] of dy; asked for each once, in their order.
///   - xRow: writes a row [g, inputs] of x; the same.
///   - dxRow: takes a row [g, inputs] of dx; nil where it is not wanted.
public func convolveEnlargedBackward(
  dWeight: Floats, sums: ConstFloats, grid g: Int, inputs: Int, stride: Int, outputs: Int, scratch: Floats,
  dyRow: (Floats, Int) -> Void, xRow: (Floats, Int) -> Void, dxRow: ((ConstFloats, Int) -> Void)?
) {
  let bands = RowBands(grid: g)
  // dy's rows between zeros, of odd index and of even: a row is g + 1 pairs of positions.
  let width = (g + 1) * 2 * outputs
  let rowsCount = padded((bands.height + 1) * width)
  let (odd, even) = (scratch, scratch + rowsCount)
  let x = even + rowsCount
  let xWidth = (g + 1) * inputs
  let dx = x + padded(bands.height * xWidth)
  let dSums = dx + padded(bands.height * xWidth)
  func fill(_ target: Floats, _ index: Int) {
    guard (0..<(2 * g)).contains(index) else { return clear(target, width) }
    padRow(target, grid: 2 * g, channels: outputs, after: 1) { dyRow($0, index) }
  }
  fill(odd, -1)
  fill(even, 0)
  for band in 0..<bands.count {
    let rows = bands.rows(band)
    for (place, index) in rows.enumerated() {
      fill(odd + (place + 1) * width, 2 * index + 1)
      fill(even + (place + 1) * width, 2 * index + 2)
      xRow(x + place * xWidth, index)
      clear(x + place * xWidth + g * inputs, inputs)
    }
    let m = rows.count * (g + 1) - 1
    for i in 0..<4 {
      for half in 0..<2 {
        let dy = (i % 2 == 0 ? odd : even) + i / 2 * width + half * 2 * outputs
        if dxRow != nil {
          multiply(
            dx, dy, sums + (i * 4 + half * 2) * outputs * inputs, m: m, n: 2 * outputs, k: inputs,
            beta: i + half == 0 ? 0 : 1)
        }
        multiplyOuter(dSums, dy, x, m: m, n: 2 * outputs, k: inputs, beta: 0)
        sumWeightsBackward(
          dWeight, dSums, row: i, column: half * 2, inputs: inputs, stride: stride, outputs: outputs)
      }
    }
    if let dxRow {
      for (place, index) in rows.enumerated() { dxRow(dx + place * xWidth, index) }
    }
    copy(odd, odd + rows.count * width, width)
    copy(even, even + rows.count * width, width)
  }
}

/// The products of `convolveEnlarged` and of its gradient.
///
/// - Parameter needsInput: whether dx is wanted.
extension ProductCount {
  public mutating func enlargedConvolution(
    grid g: Int, inputs: Int, outputs: Int, isBackward: Bool, needsInput: Bool = true
  ) {
    let bands = RowBands(grid: g)
    for band in 0..<bands.count {
      let rows = bands.rows(band).count
      if isBackward {
        let m = rows * (g + 1) - 1
        add(.weight, m: 2 * outputs, n: inputs, k: m, times: 8)
        if needsInput { add(.input, m: m, n: inputs, k: 2 * outputs, times: 8) }
      } else {
        add(.forward, m: rows * (g + 2) - 2, n: outputs, k: inputs, times: 16)
      }
    }
  }

  /// The products of `convolveBands` and of its gradient.
  public mutating func bandedConvolution(grid g: Int, inputs: Int, outputs: Int, isBackward: Bool) {
    let bands = RowBands(grid: g)
    for band in 0..<bands.count {
      let m = bands.rows(band).count * g
      if isBackward {
        add(.input, m: m, n: inputs, k: 3 * outputs, times: 3)
        add(.weight, m: 3 * outputs, n: inputs, k: m, times: 3)
      } else {
        add(.forward, m: m, n: outputs, k: 3 * inputs, times: 3)
      }
    }
  }
}
