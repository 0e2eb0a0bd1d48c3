import Failures
import Foundation
import Layers
import Tensor

/// The frozen image encoder with its LoRA updates (model.md 1, paper 3.1).

/// What the settings say of the encoder.
public struct EncoderOptions: Equatable, Sendable {
  public var weights: String
  /// S, pixels.
  public var imageSide: Int
  /// k; nil takes all blocks of the file.
  public var depth: Int?
  /// nil: width / 64.
  public var heads: Int?
  /// nil: QuickGELU for both CLIP spellings, exact GELU for timm.
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

  public init(
    weights: String, imageSide: Int, depth: Int? = nil, heads: Int? = nil, activation: Activation? = nil,
    mean: [Float]? = nil, standardDeviation: [Float]? = nil, loraBlocks: [Int] = [10], loraRank: Int = 16,
    loraScale: Float = 1, loraTargets: [String] = ["q", "k", "v", "out", "fc1", "fc2"],
    precision: Precision = .float32
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
  }
}

public final class ImageEncoder: @unchecked Sendable {
  public let spelling: Spelling
  /// p, pixels.
  public let patch: Int
  /// g, patches a side.
  public let grid: Int
  /// D.
  public let width: Int
  public let heads: Int
  public let activation: Activation
  /// The blocks in the file, of which `blocks` are used.
  public let availableDepth: Int
  public let mean: [Float]
  public let standardDeviation: [Float]
  /// Blocks 1…k, at indices 0…k−1.
  public let blocks: [TransformerBlock]
  /// m, the first block with LoRA; k + 1 where there is none.
  public let firstLoRABlock: Int
  /// Whether positions had to be resampled from the file's grid.
  public let fileGrid: Int

  private let weights: EncoderWeights
  private let patchWeight: ConstFloats
  private let patchBias: ConstFloats?
  /// [1 + N, D]: positions, with the class token added to row 0.
  private let positions: Buffer
  private let normBefore: LayerNorm?

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
  /// - Parameter share: makes the memory for a converted copy of a float16 or bfloat16 file, and for weights rounded to
  ///   bfloat16; nil makes it private.
  /// - Throws: `Failure` 66 (no file), 65 (a file that is not such an encoder), 78 (settings that do not fit it), 69
  ///   (bfloat16 where it is not available).
  public init(
    _ options: EncoderOptions, store: ParameterStore,
    share: ((Int, (UnsafeMutableRawBufferPointer) throws -> Void) throws -> UnsafeRawBufferPointer)? = nil
  ) throws {
    let file = try SafetensorsFile(path: options.weights)
    let (spelling, prefix) = try Spelling.recognise(file)
    let weights = EncoderWeights(file: file, prefix: prefix)
    self.spelling = spelling
    self.weights = weights

    let patchShape = try weights.tensor(spelling.patchWeight).shape
    guard patchShape.count == 4, patchShape[1] == 3, patchShape[2] == patchShape[3], patchShape[0] > 0,
      patchShape[2] > 0
    else {
      throw Failure.badData(
        "\(file.path): tensor \(prefix)\(spelling.patchWeight) has shape \(patchShape); expected [width, 3, patch, patch]"
      )
    }
    let D = patchShape[0]
    let patch = patchShape[2]
    width = D
    self.patch = patch
    guard options.imageSide % patch == 0, options.imageSide > 0 else {
      throw Failure.badConfiguration(
        "image.size is \(options.imageSide), which is no multiple of the encoder's patch of \(patch) pixels")
    }
    let grid = options.imageSide / patch
    self.grid = grid

    if let given = options.heads {
      guard given > 0, D % given == 0 else {
        throw Failure.badConfiguration("encoder.heads is \(given), which does not divide the encoder's width of \(D)")
      }
      heads = given
    } else {
      guard D % 64 == 0 else {
        throw Failure.badConfiguration(
          "the encoder's width of \(D) is no multiple of 64: set encoder.heads, for the file does not say how many")
      }
      heads = D / 64
    }

    var available = 0
    while weights.has("\(spelling.block(available)).\(spelling.norm1).weight") { available += 1 }
    availableDepth = available
    let depth = options.depth ?? available
    guard depth >= 1, depth <= available else {
      throw Failure.badConfiguration(
        "encoder.depth is \(depth); \(file.path) has \(available) block\(available == 1 ? "" : "s")")
    }
    for block in options.loraBlocks where block < 1 || block > depth {
      throw Failure.badConfiguration(
        "lora.blocks names block \(block); the encoder runs blocks 1 to \(depth) (encoder.depth)")
    }
    firstLoRABlock = options.loraBlocks.min() ?? depth + 1

    let hasNormBefore = weights.has("\(spelling.normBefore).weight")
    guard hasNormBefore || spelling == .timm else {
      throw Failure.badData("\(file.path): tensor \(prefix)\(spelling.normBefore).weight is missing")
    }
    let eps: Float = hasNormBefore ? 1e-5 : 1e-6
    mean = options.mean ?? spelling.mean(hasNormBefore: hasNormBefore)
    standardDeviation = options.standardDeviation ?? spelling.standardDeviation(hasNormBefore: hasNormBefore)
    let activation = options.activation ?? (spelling == .timm ? .gelu : .quickgelu)
    self.activation = activation

    let patchWeight = try weights.request(spelling.patchWeight, patchShape)
    let patchBias = try spelling.patchBias.flatMap {
      weights.has($0) ? try weights.request($0, [D]) : nil
    }
    let classToken = try weights.request(spelling.classToken, [D], [1, 1, D])
    let positionShape = try weights.tensor(spelling.positions).shape
    let rows = positionShape.count >= 2 ? positionShape[positionShape.count - 2] : 0
    var fileGrid = 0
    while fileGrid * fileGrid < rows - 1 { fileGrid += 1 }
    guard fileGrid > 0, fileGrid * fileGrid == rows - 1 else {
      throw Failure.badData(
        "\(file.path): tensor \(prefix)\(spelling.positions) has shape \(positionShape); expected [1 + grid², \(D)]")
    }
    let positionValues = try weights.request(spelling.positions, [rows, D], [1, rows, D])
    let normBefore = try hasNormBefore ? Self.requestNorm(weights, spelling.normBefore, D) : nil
    let requests = try (0..<depth).map { try BlockRequest(weights, spelling, index: $0, width: D) }

    let share =
      share ?? { count, fill in
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 64)
        try fill(memory)
        return UnsafeRawBufferPointer(memory)
      }
    try weights.load(share: share)
    let frozen = options.precision == .bfloat16 ? requests.prefix(firstLoRABlock - 1) : []
    let rounded = try BFloat16Blocks(frozen.map(\.maps), tokens: 1 + grid * grid, width: D, share: share)

    self.patchWeight = patchWeight.values
    self.patchBias = patchBias?.values
    self.fileGrid = fileGrid
    self.normBefore = normBefore.map {
      LayerNorm(width: D, eps: eps, weight: .frozen($0.weight.values), bias: .frozen($0.bias.values))
    }
    let positions = Buffer((1 + grid * grid) * D)
    self.positions = positions
    for d in 0..<D { positions.base[d] = positionValues.values[d] + classToken.values[d] }
    if fileGrid == grid {
      copy(positions.base + D, positionValues.values + D, grid * grid * D)
    } else {
      let patchPart = Array(UnsafeBufferPointer(start: positionValues.values + D, count: fileGrid * fileGrid * D))
      let resampled = interpolatePositions(patchPart, from: fileGrid, to: grid, width: D)
      resampled.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { copy(positions.base + D, base, grid * grid * D) }
      }
    }
    let heads = heads
    blocks = requests.enumerated().map { index, request in
      request.makeBlock(
        eps: eps, heads: heads, activation: activation,
        lora: options.loraBlocks.contains(index + 1) ? (options, store, index + 1) : nil,
        rounded: rounded.weights(block: index))
    }
  }

  private static func requestNorm(
    _ weights: EncoderWeights, _ name: String, _ width: Int
  ) throws -> (weight: EncoderWeights.Handle, bias: EncoderWeights.Handle) {
    (try weights.request("\(name).weight", [width]), try weights.request("\(name).bias", [width]))
  }

  /// One block's tensors, before their values are there.
  private struct BlockRequest {
    typealias Map = EncoderWeights.Map
    let width: Int
    let norm1: (weight: EncoderWeights.Handle, bias: EncoderWeights.Handle)
    let norm2: (weight: EncoderWeights.Handle, bias: EncoderWeights.Handle)
    var maps: [String: Map] = [:]

    init(_ weights: EncoderWeights, _ spelling: Spelling, index: Int, width D: Int) throws {
      width = D
      let stem = spelling.block(index)
      norm1 = try ImageEncoder.requestNorm(weights, "\(stem).\(spelling.norm1)", D)
      norm2 = try ImageEncoder.requestNorm(weights, "\(stem).\(spelling.norm2)", D)
      if let fusedWeight = spelling.fusedWeight, let fusedBias = spelling.fusedBias {
        let weight = try weights.request("\(stem).\(fusedWeight)", [3 * D, D])
        let bias = try weights.request("\(stem).\(fusedBias)", [3 * D])
        for (part, name) in ["q", "k", "v"].enumerated() {
          maps[name] = Map(weight: weight, bias: bias, row: part * D, outputs: D, inputs: D)
        }
      } else {
        for name in ["q", "k", "v"] {
          maps[name] = try Self.map(weights, "\(stem).self_attn.\(name)_proj", D, D)
        }
      }
      maps["out"] = try Self.map(weights, "\(stem).\(spelling.attentionOut)", D, D)
      let hiddenShape = try weights.tensor("\(stem).\(spelling.fc1).weight").shape
      let hidden = hiddenShape.first ?? 0
      guard hidden > 0 else {
        throw Failure.badData(
          "\(weights.file.path): tensor \(stem).\(spelling.fc1).weight has shape \(hiddenShape); expected [hidden, \(D)]"
        )
      }
      maps["fc1"] = try Self.map(weights, "\(stem).\(spelling.fc1)", hidden, D)
      maps["fc2"] = try Self.map(weights, "\(stem).\(spelling.fc2)", D, hidden)
    }

    private static func map(
      _ weights: EncoderWeights, _ name: String, _ outputs: Int, _ inputs: Int
    ) throws -> Map {
      let weight = try weights.request("\(name).weight", [outputs, inputs])
      let bias = try weights.request("\(name).bias", [outputs])
      return Map(weight: weight, bias: bias, row: 0, outputs: outputs, inputs: inputs)
    }

    func makeBlock(
      eps: Float, heads: Int, activation: Activation, lora: (EncoderOptions, ParameterStore, Int)?,
      rounded: [String: BFloat16Weight]
    ) -> TransformerBlock {
      func norm(_ handles: (weight: EncoderWeights.Handle, bias: EncoderWeights.Handle)) -> LayerNorm {
        LayerNorm(
          width: width, eps: eps, weight: .frozen(handles.weight.values), bias: .frozen(handles.bias.values))
      }
      func linear(_ name: String) -> Linear {
        guard let map = maps[name] else { preconditionFailure("no linear map \(name)") }
        var update: LoRA?
        if let (options, store, block) = lora, options.loraTargets.contains(name) {
          let stem = "encoder.blocks.\(block).\(name.hasPrefix("fc") ? "mlp" : "attn").\(name).lora"
          let bound = 1 / Double(map.inputs).squareRoot()
          update = LoRA(
            a: store.declare("\(stem).A", [options.loraRank, map.inputs], group: .lora, .uniform(bound)),
            b: store.declare("\(stem).B", [map.outputs, options.loraRank], group: .lora, .zeros),
            rank: options.loraRank, scale: options.loraScale)
        }
        return Linear(
          inputs: map.inputs, outputs: map.outputs,
          weight: rounded[name].map { .rounded(map.values, $0) } ?? .frozen(map.values),
          bias: .frozen(map.bias.values + map.row), lora: update)
      }
      return TransformerBlock(
        norm1: norm(norm1), q: linear("q"), k: linear("k"), v: linear("v"), out: linear("out"),
        norm2: norm(norm2), fc1: linear("fc1"), fc2: linear("fc2"), heads: heads, activation: activation)
    }
  }

  /// Every floating-point tensor of the encoder's file: its name, that name without the file's prefix, shape, values.
  func fileTensors() throws -> [(name: String, bareName: String, shape: [Int], values: [Float])] {
    try weights.allTensors()
  }

  /// The file's tensors that are no weights (position numbers and the like), as they lie there.
  public func otherTensors() -> [(name: String, type: String, shape: [Int], bytes: Data)] { weights.otherTensors() }

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
    copy(h0, positions.base, tokens * width)
    if let patchBias {
      for token in 1..<tokens { accumulate(h0 + token * width, patchBias, width) }
    }
    multiplyTransposed(h0 + width, patches, patchWeight, m: patchCount, n: width, k: patchValues, beta: 1)
    normBefore?.forward(h0, h0, mean: nil, inverse: nil, rows: tokens)
  }
}

extension ParameterGroup {
  /// The encoder's low-rank updates.
  public static let lora = ParameterGroup("lora")
}
