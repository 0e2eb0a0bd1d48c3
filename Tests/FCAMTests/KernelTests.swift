import Tensor
import TestSupport
import Testing

/// The decoder's convolutions against the definition, in double, on maps of several bands.

/// Numbers that look random, the same each time.
private func numbers(_ count: Int, _ seed: Int) -> [Float] {
  var state = UInt32(truncatingIfNeeded: seed &* 2_654_435_761 &+ 1)
  return (0..<count).map { _ in
    state = state &* 1_664_525 &+ 1_013_904_223
    return Float(state >> 8) / Float(1 << 23) - 1
  }
}

private func with(_ values: [Float], _ body: (Floats) -> Void) -> [Float] {
  var values = values
  values.withUnsafeMutableBufferPointer { if let base = $0.baseAddress { body(base) } }
  return values
}

/// y [side², outputs] of x [side², inputs] by weight [outputs, 3, 3, inputs], and the gradients of Σ y·dy.
private func reference(side: Int, inputs: Int, outputs: Int, x: [Float], weight: [Float], dy: [Float]) -> (
  y: [Double], dx: [Double], dWeight: [Double]
) {
  var y = [Double](repeating: 0, count: side * side * outputs)
  var dx = [Double](repeating: 0, count: x.count)
  var dWeight = [Double](repeating: 0, count: weight.count)
  for row in 0..<side {
    for column in 0..<side {
      for tap in 0..<9 {
        let (r, c) = (row + tap / 3 - 1, column + tap % 3 - 1)
        guard (0..<side).contains(r), (0..<side).contains(c) else { continue }
        for o in 0..<outputs {
          let p = (row * side + column) * outputs + o
          for i in 0..<inputs {
            let (q, w) = ((r * side + c) * inputs + i, (o * 9 + tap) * inputs + i)
            y[p] += Double(x[q]) * Double(weight[w])
            dx[q] += Double(dy[p]) * Double(weight[w])
            dWeight[w] += Double(dy[p]) * Double(x[q])
          }
        }
      }
    }
  }
  return (y, dx, dWeight)
}

/// x [g², C] with each position repeated factor × factor times, and the sum of a gradient over them.
private func enlarge(_ x: [Float], grid g: Int, factor: Int, channels C: Int) -> [Float] {
  let side = g * factor
  return (0..<(side * side * C)).map { index in
    let (position, c) = index.quotientAndRemainder(dividingBy: C)
    return x[((position / side / factor) * g + position % side / factor) * C + c]
  }
}

private func enlargeBackward(_ dy: [Double], grid g: Int, factor: Int, channels C: Int) -> [Double] {
  let side = g * factor
  var dx = [Double](repeating: 0, count: g * g * C)
  for (index, value) in dy.enumerated() {
    let (position, c) = index.quotientAndRemainder(dividingBy: C)
    dx[((position / side / factor) * g + position % side / factor) * C + c] += value
  }
  return dx
}

/// Bands of one row and of several, with a rest; a map of one position.
@Test(arguments: [1, 2, 5, 37, 50]) func aConvolutionInBandsIsTheWholeOne(side: Int) {
  let (inputs, outputs) = (3, 5)
  let x = numbers(side * side * inputs, 1)
  let weight = numbers(outputs * 9 * inputs, 2)
  let dy = numbers(side * side * outputs, 3)
  let expected = reference(side: side, inputs: inputs, outputs: outputs, x: x, weight: weight, dy: dy)
  let scratch = Buffer(bandedConvolutionScratch(grid: side, inputs: inputs, outputs: outputs, isTraining: true))
  var asked: [Int] = []
  let y = with([Float](repeating: 9, count: side * side * outputs)) { y in
    convolveBands(y, weight: weight, grid: side, inputs: inputs, outputs: outputs, scratch: scratch.base) {
      row, index in
      asked.append(index)
      row.update(from: Array(x[(index * side * inputs)..<((index + 1) * side * inputs)]), count: side * inputs)
    }
  }
  #expect(asked == Array(0..<side))
  #expect(difference(y, expected.y) < 1e-5)
  var dWeight = numbers(weight.count, 4)
  let before = dWeight
  // dx lies where dy is made of.
  var finished: [Int] = []
  let dx = with(dy + [Float](repeating: 0, count: max(0, x.count - dy.count))) { place in
    let copyOfDY = dy
    dWeight = with(dWeight) { dWeight in
      convolveBandsBackward(
        place, dWeight: dWeight, weight: weight, grid: side, inputs: inputs, outputs: outputs, scratch: scratch.base,
        dyRow: { row, index in
          row.update(
            from: Array(copyOfDY[(index * side * outputs)..<((index + 1) * side * outputs)]), count: side * outputs)
        },
        xRow: { row, index in
          row.update(from: Array(x[(index * side * inputs)..<((index + 1) * side * inputs)]), count: side * inputs)
        }, finish: { finished += $0 })
    }
  }
  #expect(finished == Array(0..<side))
  #expect(difference(Array(dx.prefix(x.count)), expected.dx) < 1e-5)
  #expect(difference(zip(dWeight, before).map { $0 - $1 }, expected.dWeight) < 1e-4)
}

@Test(arguments: [1, 2, 18, 40]) func aConvolutionOfAnEnlargedMapIsThatOfTheMapEnlarged(grid: Int) {
  let (g, inputs, others, outputs) = (grid, 4, 2, 3)
  let stride = inputs + others
  let x = numbers(g * g * inputs, 5)
  let all = numbers(outputs * 9 * stride, 6)
  let weight = all.enumerated().filter { $0.offset % stride < inputs }.map(\.element)
  let dy = numbers(4 * g * g * outputs, 7)
  let expected = reference(
    side: 2 * g, inputs: inputs, outputs: outputs, x: enlarge(x, grid: g, factor: 2, channels: inputs), weight: weight,
    dy: dy)
  let scratch = Buffer(enlargedConvolutionScratch(grid: g, inputs: inputs, outputs: outputs, isTraining: true))
  let sums = with([Float](repeating: 0, count: 16 * outputs * inputs)) {
    sumWeights($0, all, inputs: inputs, stride: stride, outputs: outputs)
  }
  func writeX(_ row: Floats, _ index: Int) {
    row.update(from: Array(x[(index * g * inputs)..<((index + 1) * g * inputs)]), count: g * inputs)
  }
  let y = with([Float](repeating: 9, count: dy.count)) { y in
    convolveEnlarged(
      y, sums: sums, grid: g, inputs: inputs, outputs: outputs, scratch: scratch.base, row: writeX,
      add: { row, index in row[0] += Float(index) })
  }
  let added = expected.y.enumerated().map { place, value in
    place % (2 * g * outputs) == 0 ? value + Double(place / (2 * g * outputs)) : value
  }
  #expect(difference(y, added) < 1e-5)
  var dWeight = [Float](repeating: 0, count: all.count)
  let dx = with([Float](repeating: 9, count: x.count)) { dx in
    dWeight = with(dWeight) { dWeight in
      convolveEnlargedBackward(
        dWeight: dWeight, sums: sums, grid: g, inputs: inputs, stride: stride, outputs: outputs, scratch: scratch.base,
        dyRow: { row, index in
          row.update(
            from: Array(dy[(index * 2 * g * outputs)..<((index + 1) * 2 * g * outputs)]), count: 2 * g * outputs)
        }, xRow: writeX,
        dxRow: { row, index in (dx + index * g * inputs).update(from: row, count: g * inputs) })
    }
  }
  #expect(difference(dx, enlargeBackward(expected.dx, grid: g, factor: 2, channels: inputs)) < 1e-5)
  let own = dWeight.enumerated().filter { $0.offset % stride < inputs }.map(\.element)
  #expect(difference(own, expected.dWeight) < 1e-4)
  #expect(dWeight.enumerated().allSatisfy { $0.offset % stride < inputs || $0.element == 0 })
}

@Test(arguments: [(1, 2), (3, 2), (3, 4), (5, 8), (2, 16)])
func aConvolutionByCellsIsThatOfTheMapEnlarged(size: (grid: Int, factor: Int)) {
  let (inputs, outputs) = (4, 3)
  let cells = CellGrid(grid: size.grid, factor: size.factor)
  let side = cells.side
  let x = numbers(size.grid * size.grid * inputs, 8)
  let weight = numbers(outputs * 9 * inputs, 9)
  let dy = numbers(side * side * outputs, 10)
  let expected = reference(
    side: side, inputs: inputs, outputs: outputs,
    x: enlarge(x, grid: size.grid, factor: size.factor, channels: inputs), weight: weight, dy: dy)
  let scratch = Buffer(cellConvolutionScratch(cells, outputs: outputs))
  let kinds = Buffer(cellOutputCount(cells, outputs: outputs))
  convolveCells(
    kinds.base, x, weight: weight, cells, inputs: inputs, stride: inputs, outputs: outputs, scratch: scratch.base)
  let y = with([Float](repeating: 0, count: dy.count)) { y in
    for row in 0..<side { addCells(y + row * side * outputs, index: row, kinds.base, cells, outputs: outputs) }
  }
  #expect(difference(y, expected.y) < 1e-5)
  kinds.base.update(repeating: 0, count: kinds.count)
  _ = with(dy) { dy in
    for row in 0..<side { addCellsBackward(kinds.base, dy + row * side * outputs, index: row, cells, outputs: outputs) }
  }
  var dWeight = [Float](repeating: 0, count: weight.count)
  let dx = with([Float](repeating: 9, count: x.count)) { dx in
    dWeight = with(dWeight) { dWeight in
      convolveCellsBackward(
        dx, dWeight: dWeight, kinds.base, x, weight: weight, cells, inputs: inputs, stride: inputs, outputs: outputs,
        scratch: scratch.base)
    }
  }
  #expect(
    difference(dx, enlargeBackward(expected.dx, grid: size.grid, factor: size.factor, channels: inputs)) < 1e-5)
  #expect(difference(dWeight, expected.dWeight) < 1e-4)
}

@Test(arguments: [1, 3, 40]) func aNarrowConvolutionIsTheWholeOne(side: Int) {
  let (inputs, outputs) = (5, 2)
  let x = numbers(side * side * inputs, 11)
  let weight = numbers(outputs * 9 * inputs, 12)
  let dy = numbers(side * side * outputs, 13)
  let bias = numbers(outputs, 14)
  let expected = reference(side: side, inputs: inputs, outputs: outputs, x: x, weight: weight, dy: dy)
  let scratch = Buffer(narrowConvolutionScratch(grid: side, inputs: inputs, outputs: outputs, isTraining: true))
  func writeX(_ target: Floats, _ rows: Range<Int>) {
    let count = side * inputs
    target.update(from: Array(x[(rows.lowerBound * count)..<(rows.upperBound * count)]), count: rows.count * count)
  }
  let y = with([Float](repeating: 9, count: dy.count)) { y in
    convolveNarrow(
      y, weight: weight, bias: bias, grid: side, inputs: inputs, outputs: outputs, scratch: scratch.base, rows: writeX)
  }
  #expect(difference(y, expected.y.enumerated().map { $1 + Double(bias[$0 % outputs]) }) < 1e-5)
  var (dWeight, dBias) = ([Float](repeating: 0, count: weight.count), [Float](repeating: 0, count: outputs))
  let dx = with([Float](repeating: 9, count: x.count)) { dx in
    dWeight = with(dWeight) { dWeight in
      dBias = with(dBias) { dBias in
        convolveNarrowBackward(
          dx, dWeight: dWeight, dBias: dBias, dy, weight: weight, grid: side, inputs: inputs, outputs: outputs,
          scratch: scratch.base, rows: writeX, finish: { _ in })
      }
    }
  }
  #expect(difference(dx, expected.dx) < 1e-5)
  #expect(difference(dWeight, expected.dWeight) < 1e-4)
  let sums = (0..<outputs).map { o in stride(from: o, to: dy.count, by: outputs).reduce(0.0) { $0 + Double(dy[$1]) } }
  #expect(difference(dBias, sums, scale: Double(side)) < 1e-5)
}
