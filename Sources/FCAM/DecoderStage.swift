import Layers
import Tensor

extension ParameterGroup {
  static let decoder = ParameterGroup("decoder")
}

/// A stage of the decoder (docs/model.md, "F-CAM"): its input enlarged ×2, beside a layer's features enlarged to the same
/// grid behind a 1×1 convolution, through two 3×3 convolutions, each with batch norm and ReLU.
///
/// Enlarged and concatenated maps are never made, and of activations only bands: kept are the two norms' inputs.
struct DecoderStage: Sendable {
  /// Of the input.
  let grid: Int
  let inputs: Int
  /// Channels of both convolutions and of the skip.
  let width: Int
  let skip: Skip?
  let first: Parameter
  let firstNorm: BatchNorm
  let second: Parameter
  let secondNorm: BatchNorm
  /// What a region of the backward pass makes the gradients of: the first convolution and the skip's; the second and the
  /// first norm; the second norm.
  let segments: [Range<Int>]

  struct Skip: Sendable {
    let layer: Int
    /// 1×1, D → width.
    let convolution: Convolution
    let cells: CellGrid
  }

  /// - Parameters:
  ///   - name: of its tensors.
  ///   - index: of the stage, from 0.
  ///   - encoderGrid, encoderWidth: g, D.
  init(
    _ store: ParameterStore, _ name: String, index: Int, encoderGrid g: Int, inputs: Int, width: Int, layer: Int?,
    encoderWidth D: Int, lanes: Int
  ) {
    let start = store.count
    grid = g << index
    self.inputs = inputs
    self.width = width
    skip = layer.map {
      Skip(
        layer: $0,
        convolution: Convolution(
          store, "\(name).skip", inputs: D, outputs: width, kernel: 1, padding: .zeros, group: .decoder,
          initialiser: Self.kaimingUniform(inputs: D)), cells: CellGrid(grid: g, factor: 2 << index))
    }
    let all = inputs + (layer == nil ? 0 : width)
    func convolution(_ name: String, inputs: Int) -> Parameter {
      store.declare(
        "\(name).weight", [width, inputs, 3, 3], group: .decoder, Self.kaimingUniform(inputs: 9 * inputs),
        memoryOrder: .channelsLast)
    }
    first = convolution("\(name).conv1", inputs: all)
    firstNorm = BatchNorm(store, "\(name).norm1", channels: width, group: .decoder, lanes: lanes)
    second = convolution("\(name).conv2", inputs: width)
    secondNorm = BatchNorm(store, "\(name).norm2", channels: width, group: .decoder, lanes: lanes)
    let starts = [start, firstNorm.weight.offset, secondNorm.weight.offset, store.count]
    segments = zip(starts, starts.dropFirst()).map { $0..<$1 }
  }

  /// Kaiming-uniform, fan-in, ReLU gain: ±√(6 / fan-in).
  private static func kaimingUniform(inputs: Int) -> Initialiser { .uniform((6 / Double(inputs)).squareRoot()) }

  /// Of the outputs.
  var outputGrid: Int { 2 * grid }
  var positions: Int { outputGrid * outputGrid }
  /// Channels of the first convolution's input.
  private var allInputs: Int { inputs + (skip == nil ? 0 : width) }

  /// Where one sample's values lie.
  struct Places: Sendable {
    /// The skip's features [N, width].
    let skipped: Int
    /// The norms' inputs [positions, width]; on the way back the second's becomes the gradient of the first's output.
    let first: Int
    let second: Int
  }

  func places(_ layout: inout Layout) -> Places {
    Places(
      skipped: layout.take(skip.map { $0.cells.grid * $0.cells.grid * width } ?? 0),
      first: layout.take(positions * width), second: layout.take(positions * width))
  }

  /// The floats that the weight's sums take; see `sumWeights`.
  var sumCount: Int { 16 * width * inputs }

  /// Makes the sums of the first convolution's weight that its passes take.
  func makeSums(_ sums: Floats) {
    sumWeights(sums, first.values, inputs: inputs, stride: allInputs, outputs: width)
  }

  private var cellCount: Int { skip.map { cellOutputCount($0.cells, outputs: width) } ?? 0 }

  func scratchCount(isTraining: Bool) -> Int {
    let enlarged = enlargedConvolutionScratch(grid: grid, inputs: inputs, outputs: width, isTraining: isTraining)
    let banded = bandedConvolutionScratch(grid: outputGrid, inputs: width, outputs: width, isTraining: isTraining)
    let cells = skip.map { cellConvolutionScratch($0.cells, outputs: width) } ?? 0
    let dSkipped = skip.map { $0.cells.grid * $0.cells.grid * width } ?? 0
    return cellCount + max(enlarged, banded, cells + dSkipped + 16)
  }

  // MARK: First convolution

  /// The skip's features and the first convolution, before its norm.
  ///
  /// - Parameters:
  ///   - row: writes a row [grid, inputs] of the input.
  ///   - layer: h of the skip's layer [N, D], where there is one.
  func forwardFirst(
    _ m: Floats, _ at: Places, sums: ConstFloats, layer: ConstFloats?, scratch: Floats, row: (Floats, Int) -> Void
  ) -> Floats {
    let cells = scratch
    let rest = scratch + cellCount
    if let skip, let layer {
      skip.convolution.forward(m + at.skipped, layer, grid: skip.cells.grid, scratch: rest)
      convolveCells(
        cells, m + at.skipped, weight: first.values + inputs, skip.cells, inputs: width, stride: allInputs,
        outputs: width, scratch: rest)
    }
    convolveEnlarged(
      m + at.first, sums: sums, grid: grid, inputs: inputs, outputs: width, scratch: rest, row: row,
      add: { target, index in
        if let skip { addCells(target, index: index, cells, skip.cells, outputs: width) }
      })
    return m + at.first
  }

  /// Through the first norm and convolution, from the gradient of the norm's output in the second's place.
  ///
  /// - Parameter dRow: takes a row [grid, inputs] of the input's gradient; nil where it is not wanted.
  func backwardFirst(
    _ m: Floats, _ at: Places, sums: ConstFloats, layer: ConstFloats?, slot: GradientSlot, scratch: Floats,
    row: (Floats, Int) -> Void, dRow: ((ConstFloats, Int) -> Void)?
  ) {
    let rowCount = outputGrid * width
    let (x, dy) = (m + at.first, m + at.second)
    let dCells = scratch
    let rest = scratch + cellCount
    if skip != nil { clear(dCells, cellCount) }
    convolveEnlargedBackward(
      dWeight: slot.of(first), sums: sums, grid: grid, inputs: inputs, stride: allInputs, outputs: width,
      scratch: rest,
      dyRow: { target, index in
        firstNorm.backward(target, dy + index * rowCount, x + index * rowCount, rows: outputGrid)
        if let skip { addCellsBackward(dCells, target, index: index, skip.cells, outputs: width) }
      }, xRow: row, dxRow: dRow)
    guard let skip, let layer else { return }
    let dSkipped = rest + cellConvolutionScratch(skip.cells, outputs: width)
    convolveCellsBackward(
      dSkipped, dWeight: slot.of(first) + inputs, dCells, m + at.skipped, weight: first.values + inputs, skip.cells,
      inputs: width, stride: allInputs, outputs: width, scratch: rest)
    skip.convolution.backward(nil, dSkipped, layer, grid: skip.cells.grid, slot: slot, scratch: rest)
  }

  // MARK: Second convolution

  /// The second convolution, before its norm, of the first's activation.
  func forwardSecond(_ m: Floats, _ at: Places, first norm: Activation, scratch: Floats) -> Floats {
    let rowCount = outputGrid * width
    convolveBands(
      m + at.second, weight: second.values, grid: outputGrid, inputs: width, outputs: width, scratch: scratch
    ) { target, index in norm.write(target, m + at.first + index * rowCount, rows: outputGrid) }
    return m + at.second
  }

  /// Through the second norm and convolution to the gradient of the first norm's output, which takes the place of the
  /// second's input.
  ///
  /// - Parameter dy: of the second norm's output [positions, width].
  func backwardSecond(_ m: Floats, _ at: Places, dy: ConstFloats, slot: GradientSlot, scratch: Floats) -> (
    dy: Floats, x: Floats
  ) {
    let rowCount = outputGrid * width
    let (first, target) = (m + at.first, m + at.second)
    convolveBandsBackward(
      target, dWeight: slot.of(second), weight: second.values, grid: outputGrid, inputs: width, outputs: width,
      scratch: scratch,
      dyRow: { row, index in
        secondNorm.backward(row, dy + index * rowCount, target + index * rowCount, rows: outputGrid)
      },
      xRow: { row, index in firstNorm.forward(row, first + index * rowCount, relu: true, rows: outputGrid) },
      finish: { rows in
        let offset = rows.lowerBound * rowCount
        firstNorm.reluBackward(target + offset, target + offset, first + offset, rows: rows.count * outputGrid)
      })
    return (target, first)
  }

  /// Adds the matrix products of a sample.
  ///
  /// - Parameter needsInput: whether its input's gradient is made.
  func addProducts(_ count: inout ProductCount, isBackward: Bool, needsInput: Bool) {
    if let skip {
      count.convolution(skip.convolution, grid: skip.cells.grid, isBackward: isBackward, needsInput: false)
      count.cellConvolution(skip.cells, inputs: width, outputs: width, isBackward: isBackward)
    }
    count.enlargedConvolution(
      grid: grid, inputs: inputs, outputs: width, isBackward: isBackward, needsInput: needsInput)
    count.bandedConvolution(grid: outputGrid, inputs: width, outputs: width, isBackward: isBackward)
  }
}

/// A norm and its ReLU, by the batch's statistics or by the running ones.
struct Activation {
  let norm: BatchNorm
  /// 1/√(running variance + eps) [channels]; nil takes the batch's.
  let inverse: ConstFloats?

  /// y [rows, channels] of the norm's input x.
  func write(_ y: Floats, _ x: ConstFloats, rows: Int) {
    if let inverse {
      norm.infer(y, x, relu: true, rows: rows, inverse: inverse)
    } else {
      norm.forward(y, x, relu: true, rows: rows)
    }
  }
}
