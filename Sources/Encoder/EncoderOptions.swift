import Failures
import Layers
import Tensor

/// What the settings say of the encoder.
public struct EncoderOptions: Equatable, Sendable {
  /// A safetensors file, or the index of a sharded one.
  public var weights: String
  /// S, pixels.
  public var imageSide: Int
  /// k; nil takes all blocks of the file.
  public var depth: Int?
  /// nil: what a configuration beside the file says, else that of the published encoders of its width.
  public var heads: Int?
  /// nil: what a configuration beside the file says, else QuickGELU for both CLIP spellings, exact GELU for timm.
  public var activation: Activation?
  public var mean: [Float]?
  public var standardDeviation: [Float]?
  /// The blocks that LoRA updates, counted from 1.
  public var loraBlocks: [Int]
  public var loraRank: Int
  public var loraScale: Float
  /// Of q, k, v, out, fc1, fc2.
  public var loraTargets: [String]
  /// Of the products of the blocks below the first with LoRA.
  public var precision: Precision
  /// With oneDNN the weights of the blocks below the first with LoRA are packed once.
  public var products: ProductLibrary

  public init(
    weights: String, imageSide: Int, depth: Int? = nil, heads: Int? = nil, activation: Activation? = nil,
    mean: [Float]? = nil, standardDeviation: [Float]? = nil, loraBlocks: [Int] = [10], loraRank: Int = 16,
    loraScale: Float = 1, loraTargets: [String] = ["q", "k", "v", "out", "fc1", "fc2"],
    precision: Precision = .float32, products: ProductLibrary = .current
  ) {
    self.weights = weights
    self.imageSide = imageSide
    self.depth = depth
    self.heads = heads
    self.activation = activation
    self.mean = mean
    self.standardDeviation = standardDeviation
    self.loraBlocks = loraBlocks
    self.loraRank = loraRank
    self.loraScale = loraScale
    self.loraTargets = loraTargets
    self.precision = precision
    self.products = products
  }

  /// What the packed weights are; nil where none are.
  var packedPrecision: Precision? {
    precision == .bfloat16 ? .bfloat16 : products == .onednn ? .float32 : nil
  }

  /// m, the first block with LoRA; k + 1 where there is none.
  ///
  /// - Parameter depth: k.
  /// - Throws: `Failure` 78 for a block that is not run.
  func firstLoRABlock(depth: Int) throws -> Int {
    for block in loraBlocks where block < 1 || block > depth {
      throw Failure.badConfiguration(
        "lora.blocks names block \(block); the encoder runs blocks 1 to \(depth) (encoder.depth)")
    }
    return loraBlocks.min() ?? depth + 1
  }
}
