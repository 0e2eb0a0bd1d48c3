import Failures
import Files
import Layers
import Safetensors
import Tensor

/// What is frozen of an encoder: its file, recognised, checked, mapped, and converted once where it is not float32.
/// Several encoders with LoRA updates of their own may stand on one.
public final class EncoderFile: @unchecked Sendable {
  /// Makes memory of so many bytes that the closure fills, or another process has filled.
  public typealias Share = (Int, (UnsafeMutableRawBufferPointer) throws -> Void) throws -> MappedMemory

  public let options: EncoderOptions
  public let spelling: Spelling
  /// p, pixels.
  public let patch: Int
  /// g, patches a side.
  public let grid: Int
  /// D.
  public let width: Int
  public let heads: Int
  public let activation: Activation
  /// The blocks in the file, of which `depth` are used.
  public let availableDepth: Int
  /// k.
  public let depth: Int
  /// The side of the file's own grid of positions; where it is not `grid`, they are resampled.
  public let fileGrid: Int
  /// Of the norms inside and before the blocks.
  public let normEpsilon: Float
  /// Activation and heads as they were found, and the norms' eps where it is not the spelling's: a JSON object.
  public let choices: String
  public let mean: [Float]
  public let standardDeviation: [Float]
  /// What a log should say of how the file was understood: what was taken from where, and what was passed over.
  public let notes: [String]

  let weights: EncoderWeights
  let blocks: [BlockTensors]
  let packed: PackedBlocks
  let patchWeight: ConstFloats
  let patchBias: ConstFloats?
  /// [1 + N, D]: positions, with the class token added to row 0.
  let positions: Buffer
  let normBefore: LayerNorm?

  /// - Parameters:
  ///   - options: those of LoRA say only which blocks are packed: those below the first with it.
  ///   - share: makes the memory for a converted copy of a float16 or bfloat16 file, and for packed weights; nil makes
  ///     it this process's own.
  ///   - runsFrozenBlocks: whether weights are packed at once; else when one of them is used after all, and then for
  ///     this process alone.
  /// - Throws: `Failure` 66 (no file), 65 (a file that is not such an encoder), 78 (settings that do not fit it, or
  ///   are needed for it), 69 (bfloat16 where it is not available, or memory).
  public init(_ options: EncoderOptions, share: Share? = nil, runsFrozenBlocks: Bool = true) throws {
    if let instead = ShardIndex.whatToGiveInstead(ofShard: options.weights) {
      throw Failure.badData("\(options.weights): is one shard of a model's weights: \(instead)")
    }
    let tower = try Tower(SafetensorsFile(path: options.weights))
    let weights = EncoderWeights(tower)
    let shape = try EncoderShape(weights, options)
    try tower.refuseStrangers(blocks: shape.depth)
    let choices = try EncoderChoices(options, shape)
    let firstLoRABlock = try options.firstLoRABlock(depth: shape.depth)

    let embedding = try EmbeddingTensors(weights, shape)
    let blocks = try (0..<shape.depth).map { try BlockTensors(weights, tower.spelling, index: $0, width: shape.width) }
    let share = share ?? { try MappedMemory(byteCount: $0, fill: $1) }
    try weights.load(share: share)
    packed = try PackedBlocks(
      blocks.prefix(firstLoRABlock - 1).map(\.maps), precision: options.packedPrecision,
      tokens: 1 + shape.grid * shape.grid, width: shape.width, share: runsFrozenBlocks ? share : nil)

    self.options = options
    spelling = tower.spelling
    (patch, grid, width, fileGrid) = (shape.patch, shape.grid, shape.width, shape.fileGrid)
    (availableDepth, depth) = (tower.blockCount, shape.depth)
    (heads, activation, normEpsilon) = (choices.heads, choices.activation, choices.normEpsilon)
    self.choices = choices.json
    let isPlain = !shape.hasNormBefore
    mean = options.mean ?? spelling.mean(isPlain: isPlain)
    standardDeviation = options.standardDeviation ?? spelling.standardDeviation(isPlain: isPlain)
    notes = tower.notes + shape.notes + choices.notes
    self.weights = weights
    self.blocks = blocks
    (patchWeight, patchBias) = (embedding.patchWeight.values, embedding.patchBias?.values)
    positions = embedding.positions(shape)
    normBefore = embedding.normBefore?.layer(width: shape.width, epsilon: choices.normEpsilon)
  }

  /// A block without updates, or with those of LoRA.
  ///
  /// - Parameter update: makes the update of the linear map of the given name, inputs and outputs.
  func block(
    _ index: Int, update: (_ name: String, _ inputs: Int, _ outputs: Int) -> LoRA?
  ) -> TransformerBlock {
    let packed = packed.weights(block: index)
    func linear(_ name: String) -> Linear {
      let map = blocks[index].map(name)
      return Linear(
        inputs: map.inputs, outputs: map.outputs,
        weight: packed[name].map { .packed(map.values, $0) } ?? .frozen(map.values),
        bias: .frozen(map.bias.values + map.row), lora: update(name, map.inputs, map.outputs))
    }
    return TransformerBlock(
      norm1: blocks[index].norm1.layer(width: width, epsilon: normEpsilon), q: linear("q"), k: linear("k"),
      v: linear("v"), out: linear("out"), norm2: blocks[index].norm2.layer(width: width, epsilon: normEpsilon),
      fc1: linear("fc1"), fc2: linear("fc2"), heads: heads, activation: activation)
  }
}
