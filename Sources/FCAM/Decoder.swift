import Encoder
import Layers
import Tensor

/// The decoder of F-CAM (Belharbi et al., "F-CAM: Full Resolution Class Activation Maps via Guided Parametric
/// Upscaling", WACV 2022; docs/model.md, "F-CAM"): U-Net's upward half, from h⁽ᵏ⁾ [g, g] to two scores a pixel.
struct Decoder: Sendable {
  let stages: [DecoderStage]
  /// [2, width, 3, 3] and [2]: background and foreground.
  let headWeight: Parameter
  let headBias: Parameter
  /// g, N, S.
  let grid: Int
  var cells: Int { grid * grid }
  let side: Int

  /// - Throws: `Failure` 78 for options that do not fit the encoder.
  init(_ store: ParameterStore, _ options: FCAMOptions, encoder: ImageEncoder) throws {
    let count = try FCAMOptions.stageCount(patch: encoder.patch)
    try options.check(encoder)
    let (widths, layers) = (options.stageWidths(count), options.stageLayers(count))
    grid = encoder.grid
    side = encoder.grid * encoder.patch
    var inputs = encoder.width
    var stages: [DecoderStage] = []
    for index in 0..<count {
      stages.append(
        DecoderStage(
          store, "fcam.decoder.stages.\(index + 1)", index: index, encoderGrid: encoder.grid, inputs: inputs,
          width: widths[index], layer: layers[index], encoderWidth: encoder.width, lanes: options.lanes))
      inputs = widths[index]
    }
    self.stages = stages
    // Xavier-uniform: ±√(6 / (fan-in + fan-out)).
    headWeight = store.declare(
      "fcam.decoder.head.weight", [2, inputs, 3, 3], group: .decoder,
      .uniform((6 / Double(9 * (inputs + 2))).squareRoot()), memoryOrder: .channelsLast)
    headBias = store.declare("fcam.decoder.head.bias", [2], group: .decoder, .zeros)
  }

  var last: DecoderStage { stages[stages.count - 1] }

  /// What regions of the backward pass make the gradients of, by stage: the head's with the last norm's.
  func segments(_ index: Int) -> [Range<Int>] {
    var segments = stages[index].segments
    if index == stages.count - 1 { segments[2] = segments[2].lowerBound..<headBias.range.upperBound }
    return segments
  }

  /// Where one sample's values lie.
  struct Places: Sendable {
    let stages: [DecoderStage.Places]
    /// [S·S, 2].
    let scores: Int
    /// The gradient on its way down: of a stage's output [positions, width].
    let gradient: Int
  }

  func places(_ layout: inout Layout, isTraining: Bool) -> Places {
    let largest = max(2 * side * side, stages.map { $0.positions * $0.width }.max() ?? 0)
    return Places(
      stages: stages.map { $0.places(&layout) }, scores: layout.take(2 * side * side),
      gradient: layout.take(isTraining ? largest : 0))
  }

  func scratchCount(isTraining: Bool) -> Int {
    let head = narrowConvolutionScratch(grid: side, inputs: last.width, outputs: 2, isTraining: isTraining)
    return max(stages.map { $0.scratchCount(isTraining: isTraining) }.max() ?? 0, head)
  }

  /// The sums of the stages' weights, made again after every update.
  final class Sums: @unchecked Sendable {
    private let buffers: [Buffer]
    private let stages: [DecoderStage]

    init(_ decoder: Decoder) {
      stages = decoder.stages
      buffers = decoder.stages.map { Buffer($0.sumCount) }
    }

    func make() { for (stage, buffer) in zip(stages, buffers) { stage.makeSums(buffer.base) } }

    subscript(stage: Int) -> ConstFloats { ConstFloats(buffers[stage].base) }
  }

  /// Writes a row of a stage's input: of h⁽ᵏ⁾ [N, D], or of the stage before.
  func writeInput(
    _ target: Floats, _ index: Int, of stage: Int, _ m: Floats, _ at: Places, h: ConstFloats,
    activation: (Int) -> Activation
  ) {
    let (g, count) = (stages[stage].grid, stages[stage].grid * stages[stage].inputs)
    if stage == 0 {
      copy(target, h + index * count, count)
    } else {
      activation(stage - 1).write(target, m + at.stages[stage - 1].second + index * count, rows: g)
    }
  }

  // MARK: Head

  /// The scores of the last stage's activation.
  func forwardHead(_ m: Floats, _ at: Places, _ activation: Activation, scratch: Floats) {
    let row = side * last.width
    convolveNarrow(
      m + at.scores, weight: headWeight.values, bias: headBias.values, grid: side, inputs: last.width, outputs: 2,
      scratch: scratch
    ) { target, rows in
      activation.write(
        target, m + at.stages[stages.count - 1].second + rows.lowerBound * row, rows: rows.count * side)
    }
  }

  /// From the gradient of the scores, in their place, to that of the last norm's output.
  func backwardHead(_ m: Floats, _ at: Places, slot: GradientSlot, scratch: Floats) {
    let row = side * last.width
    let (norm, x, d) = (last.secondNorm, m + at.stages[stages.count - 1].second, m + at.gradient)
    convolveNarrowBackward(
      d, dWeight: slot.of(headWeight), dBias: slot.of(headBias), m + at.scores, weight: headWeight.values, grid: side,
      inputs: last.width, outputs: 2, scratch: scratch,
      rows: { target, rows in
        norm.forward(target, x + rows.lowerBound * row, relu: true, rows: rows.count * side)
      },
      finish: { rows in
        let offset = rows.lowerBound * row
        norm.reluBackward(d + offset, d + offset, x + offset, rows: rows.count * side)
      })
  }

  /// Adds the matrix products of a sample.
  func addProducts(_ count: inout ProductCount, isBackward: Bool) {
    for (index, stage) in stages.enumerated() {
      stage.addProducts(&count, isBackward: isBackward, needsInput: index > 0)
    }
    count.narrowConvolution(grid: side, inputs: last.width, outputs: 2, isBackward: isBackward)
  }
}
