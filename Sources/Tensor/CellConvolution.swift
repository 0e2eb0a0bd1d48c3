// A 3×3 convolution of a map that is enlarged many times by nearest neighbours, without enlarging it: a skip.
//
// Outputs inside a cell see one source position by all nine weights, those on its border the neighbour by some of them.
// So a cell has nine kinds of outputs, by three kinds of rows and of columns; they are made on the source's grid.

/// A map [g·g, C] of which each position stands for a cell of factor × factor positions.
public struct CellGrid: Sendable {
  /// g.
  public let grid: Int
  /// At least 2.
  public let factor: Int

  public init(grid: Int, factor: Int) {
    precondition(factor >= 2)
    self.grid = grid
    self.factor = factor
  }

  /// N.
  var cells: Int { grid * grid }
  public var side: Int { grid * factor }

  /// Which kind of row or column one is in its cell: 0 its first, 1 inside, 2 its last.
  @inline(__always)
  func kind(_ index: Int) -> Int {
    let offset = index % factor
    return offset == 0 ? 0 : offset == factor - 1 ? 2 : 1
  }

  /// The cell that a kernel's tap (0…2) leads to from a row or column of a kind.
  @inline(__always)
  func source(of cell: Int, kind: Int, tap: Int) -> Int {
    kind == 0 && tap == 0 ? cell - 1 : kind == 2 && tap == 2 ? cell + 1 : cell
  }

  /// Calls `body` with every kind, cell, tap and source that belong together.
  @inline(__always)
  func forEachTap(_ body: (_ kind: Int, _ cell: Int, _ tap: Int, _ source: Int) -> Void) {
    for kind in 0..<9 where factor > 2 || (kind / 3 != 1 && kind % 3 != 1) {
      for tap in 0..<9 {
        for row in 0..<grid {
          let r = source(of: row, kind: kind / 3, tap: tap / 3)
          guard (0..<grid).contains(r) else { continue }
          for column in 0..<grid {
            let c = source(of: column, kind: kind % 3, tap: tap % 3)
            guard (0..<grid).contains(c) else { continue }
            body(kind, row * grid + column, tap, r * grid + c)
          }
        }
      }
    }
  }
}

/// The floats that the outputs of all kinds take: [9, N, outputs].
public func cellOutputCount(_ cells: CellGrid, outputs: Int) -> Int { 9 * padded(cells.cells * outputs) }

/// The floats of scratch of `convolveCells` and of its gradient.
public func cellConvolutionScratch(_ cells: CellGrid, outputs: Int) -> Int { 9 * padded(cells.cells * outputs) }

/// y [9, N, outputs] = the outputs of every kind, of x [N, inputs] and weight [outputs, 3, 3, stride], of whose inputs
/// the first are taken.
public func convolveCells(
  _ y: Floats, _ x: ConstFloats, weight: ConstFloats, _ cells: CellGrid, inputs: Int, stride: Int, outputs: Int,
  scratch: Floats
) {
  let size = padded(cells.cells * outputs)
  for tap in 0..<9 {
    multiplyTransposed(
      scratch + tap * size, x, weight + tap * stride, m: cells.cells, n: outputs, k: inputs, strideW: 9 * stride)
  }
  profiled(.gather) {
    clear(y, 9 * size)
    cells.forEachTap { kind, cell, tap, source in
      accumulate(y + kind * size + cell * outputs, scratch + tap * size + source * outputs, outputs)
    }
  }
}

/// Adds the outputs of a row to it: row [side, outputs] += those of its kind.
public func addCells(_ row: Floats, index: Int, _ y: ConstFloats, _ cells: CellGrid, outputs: Int) {
  profiled(.gather) {
    let size = padded(cells.cells * outputs)
    let first = index / cells.factor * cells.grid
    let kind = 3 * cells.kind(index)
    for column in 0..<cells.side {
      let source = y + (kind + cells.kind(column)) * size + (first + column / cells.factor) * outputs
      accumulate(row + column * outputs, source, outputs)
    }
  }
}

/// The gradient of `addCells`: dy [9, N, outputs] is added to.
public func addCellsBackward(_ dy: Floats, _ dRow: ConstFloats, index: Int, _ cells: CellGrid, outputs: Int) {
  profiled(.gather) {
    let size = padded(cells.cells * outputs)
    let first = index / cells.factor * cells.grid
    let kind = 3 * cells.kind(index)
    for column in 0..<cells.side {
      let target = dy + (kind + cells.kind(column)) * size + (first + column / cells.factor) * outputs
      accumulate(target, dRow + column * outputs, outputs)
    }
  }
}

/// The gradient of `convolveCells`: dWeight is added to, dx [N, inputs] is overwritten.
public func convolveCellsBackward(
  _ dx: Floats, dWeight: Floats, _ dy: ConstFloats, _ x: ConstFloats, weight: ConstFloats, _ cells: CellGrid,
  inputs: Int, stride: Int, outputs: Int, scratch: Floats
) {
  let size = padded(cells.cells * outputs)
  profiled(.gather) {
    clear(scratch, 9 * size)
    cells.forEachTap { kind, cell, tap, source in
      accumulate(scratch + tap * size + source * outputs, dy + kind * size + cell * outputs, outputs)
    }
  }
  for tap in 0..<9 {
    let dTap = scratch + tap * size
    multiply(
      dx, dTap, weight + tap * stride, m: cells.cells, n: outputs, k: inputs, strideW: 9 * stride,
      beta: tap == 0 ? 0 : 1)
    multiplyOuter(
      dWeight + tap * stride, dTap, x, m: cells.cells, n: outputs, k: inputs, strideDW: 9 * stride)
  }
}

extension ProductCount {
  /// The products of `convolveCells` and of its gradient.
  public mutating func cellConvolution(_ cells: CellGrid, inputs: Int, outputs: Int, isBackward: Bool) {
    if isBackward {
      add(.input, m: cells.cells, n: inputs, k: outputs, times: 9)
      add(.weight, m: outputs, n: inputs, k: cells.cells, times: 9)
    } else {
      add(.forward, m: cells.cells, n: outputs, k: inputs, times: 9)
    }
  }
}
