import Files
import Layers
import Tensor

/// The frozen image encoder with its LoRA updates (docs/model.md, "Encoder and LoRA").
public final class ImageEncoder: @unchecked Sendable {
  /// What is frozen; other encoders may stand on it, too.
  public let file: EncoderFile
  /// Blocks 1…k, at indices 0…k−1.
  public internal(set) var blocks: [TransformerBlock]
  /// What frozen tensors of blocks point into that are not the file's.
  var randomBlocks: [MappedMemory] = []
  /// m, the first block with LoRA; k + 1 where there is none.
  public let firstLoRABlock: Int

  public var spelling: Spelling { file.spelling }
  /// p, pixels.
  public var patch: Int { file.patch }
  /// g, patches a side.
  public var grid: Int { file.grid }
  /// D.
  public var width: Int { file.width }
  public var heads: Int { file.heads }
  public var activation: Activation { file.activation }
  /// The blocks in the file, of which `blocks` are used.
  public var availableDepth: Int { file.availableDepth }
  public var fileGrid: Int { file.fileGrid }
  public var mean: [Float] { file.mean }
  public var standardDeviation: [Float] { file.standardDeviation }
  /// What a log should say of how the file was understood.
  public var notes: [String] { file.notes }
  /// k.
  public var depth: Int { blocks.count }
  /// N.
  public var patchCount: Int { grid * grid }
  /// 1 + N.
  public var tokens: Int { 1 + patchCount }
  /// Values of a patch: 3·p·p.
  public var patchValues: Int { 3 * patch * patch }

  /// Maps the file and declares LoRA's tensors.
  ///
  /// - Throws: what `EncoderFile` throws.
  public convenience init(_ options: EncoderOptions, store: ParameterStore) throws {
    try self.init(try EncoderFile(options), options, store: store)
  }

  /// Declares LoRA's tensors on a file that is loaded.
  ///
  /// - Parameter options: of them LoRA's count, which may be others than the file was loaded with.
  /// - Throws: `Failure` 78 for a LoRA block that is not run.
  public init(_ file: EncoderFile, _ options: EncoderOptions, store: ParameterStore) throws {
    self.file = file
    let first = try options.firstLoRABlock(depth: file.depth)
    precondition(
      file.options.packedPrecision == nil || first == (try? file.options.firstLoRABlock(depth: file.depth)),
      "weights are packed for the blocks below one first block with LoRA")
    firstLoRABlock = first
    blocks = (0..<file.depth).map { index in
      file.block(index) { name, inputs, outputs in
        guard options.loraBlocks.contains(index + 1), options.loraTargets.contains(name) else { return nil }
        let stem = "encoder.blocks.\(index + 1).\(name.hasPrefix("fc") ? "mlp" : "attn").\(name).lora"
        let bound = 1 / Double(inputs).squareRoot()
        return LoRA(
          a: store.declare("\(stem).A", [options.loraRank, inputs], group: .lora, .uniform(bound)),
          b: store.declare("\(stem).B", [outputs, options.loraRank], group: .lora, .zeros),
          rank: options.loraRank, scale: options.loraScale)
      }
    }
  }

  /// patches [N, 3·p·p] (channel, row, column) of a view's pixels [S, S, 3]: scaled to [0, 1], then normalised.
  public func patchify(_ patches: Floats, pixels: UnsafePointer<UInt8>) {
    patchify(patches) { Float(pixels[$0]) }
  }

  /// The same of pixels that are not whole numbers, such as blurred ones; 0…255.
  public func patchify(_ patches: Floats, pixels: ConstFloats) {
    patchify(patches) { pixels[$0] }
  }

  @inline(__always)
  private func patchify(_ patches: Floats, _ pixel: (Int) -> Float) {
    let (patch, grid, patchValues) = (patch, grid, patchValues)
    let side = grid * patch
    let factors = (0..<3).map { 1 / (255 * standardDeviation[$0]) }
    let shifts = (0..<3).map { -mean[$0] / standardDeviation[$0] }
    for row in 0..<side {
      for column in 0..<grid {
        let source = (row * side + column * patch) * 3
        let target = patches + (row / patch * grid + column) * patchValues + row % patch * patch
        for channel in 0..<3 {
          let (factor, shift) = (factors[channel], shifts[channel])
          let plane = target + channel * patch * patch
          for x in 0..<patch { plane[x] = pixel(source + 3 * x + channel) * factor + shift }
        }
      }
    }
  }

  /// h⁽⁰⁾ [1 + N, D] of patches [N, 3·p·p].
  public func embed(_ h0: Floats, patches: ConstFloats) {
    copy(h0, file.positions.base, tokens * width)
    if let patchBias = file.patchBias {
      for token in 1..<tokens { accumulate(h0 + token * width, patchBias, width) }
    }
    multiplyTransposed(h0 + width, patches, file.patchWeight, m: patchCount, n: width, k: patchValues, beta: 1)
    file.normBefore?.forward(h0, h0, mean: nil, inverse: nil, rows: tokens)
  }
}

extension ParameterGroup {
  /// The encoder's low-rank updates.
  public static let lora = ParameterGroup("lora")
}
