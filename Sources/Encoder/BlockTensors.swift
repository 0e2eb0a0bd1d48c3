import Failures
import Layers
import Tensor

/// A norm's two tensors, before their values are there.
struct NormTensors {
  let weight: EncoderWeights.Handle
  let bias: EncoderWeights.Handle

  init(_ weights: EncoderWeights, _ name: String, width: Int) throws {
    weight = try weights.request("\(name).weight", [width])
    bias = try weights.request("\(name).bias", [width])
  }

  /// Valid after the weights' `load`.
  func layer(width: Int, epsilon: Float) -> LayerNorm {
    LayerNorm(width: width, eps: epsilon, weight: .frozen(weight.values), bias: .frozen(bias.values))
  }
}

/// One block's tensors, before their values are there.
struct BlockTensors {
  typealias Map = EncoderWeights.Map
  let norm1: NormTensors
  let norm2: NormTensors
  /// By the names q, k, v, out, fc1, fc2.
  private(set) var maps: [String: Map] = [:]

  /// - Parameter index: from 0, as in files.
  /// - Throws: `Failure` 65 for a tensor that is missing, misshapen, not finite or of another type.
  init(_ weights: EncoderWeights, _ spelling: Spelling, index: Int, width D: Int) throws {
    let stem = spelling.block(index)
    norm1 = try NormTensors(weights, "\(stem).\(spelling.norm1)", width: D)
    norm2 = try NormTensors(weights, "\(stem).\(spelling.norm2)", width: D)
    if let fusedWeight = spelling.fusedWeight, let fusedBias = spelling.fusedBias {
      let weight = try weights.request("\(stem).\(fusedWeight)", [3 * D, D])
      let bias = try weights.request("\(stem).\(fusedBias)", [3 * D])
      for (part, name) in ["q", "k", "v"].enumerated() {
        maps[name] = Map(weight: weight, bias: bias, row: part * D, outputs: D, inputs: D)
      }
    } else {
      for name in ["q", "k", "v"] { maps[name] = try Self.map(weights, "\(stem).self_attn.\(name)_proj", D, D) }
    }
    maps["out"] = try Self.map(weights, "\(stem).\(spelling.attentionOut)", D, D)
    let hiddenShape = try weights.tensor("\(stem).\(spelling.fc1).weight").shape
    guard let hidden = hiddenShape.first, hidden > 0 else {
      throw Failure.badData(
        "\(weights.tower.file.path): tensor \(weights.tower.prefix)\(stem).\(spelling.fc1).weight has shape "
          + "\(hiddenShape); expected [hidden, \(D)]")
    }
    maps["fc1"] = try Self.map(weights, "\(stem).\(spelling.fc1)", hidden, D)
    maps["fc2"] = try Self.map(weights, "\(stem).\(spelling.fc2)", D, hidden)
  }

  func map(_ name: String) -> Map {
    guard let map = maps[name] else { preconditionFailure("no linear map \(name)") }
    return map
  }

  private static func map(_ weights: EncoderWeights, _ name: String, _ outputs: Int, _ inputs: Int) throws -> Map {
    let weight = try weights.request("\(name).weight", [outputs, inputs])
    let bias = try weights.request("\(name).bias", [outputs])
    return Map(weight: weight, bias: bias, row: 0, outputs: outputs, inputs: inputs)
  }
}

/// The tensors in front of block 1, before their values are there.
struct EmbeddingTensors {
  let patchWeight: EncoderWeights.Handle
  let patchBias: EncoderWeights.Handle?
  let normBefore: NormTensors?
  private let classToken: EncoderWeights.Handle
  private let fileGridPositions: EncoderWeights.Handle

  init(_ weights: EncoderWeights, _ shape: EncoderShape) throws {
    let (spelling, D, p) = (weights.tower.spelling, shape.width, shape.patch)
    patchWeight = try weights.request(spelling.patchWeight, [D, 3, p, p])
    patchBias = weights.has(spelling.patchBias) ? try weights.request(spelling.patchBias, [D]) : nil
    classToken = try weights.request(spelling.classToken, [D], [1, 1, D])
    let rows = 1 + shape.fileGrid * shape.fileGrid
    fileGridPositions = try weights.request(spelling.positions, [rows, D], [1, rows, D])
    normBefore = shape.hasNormBefore ? try NormTensors(weights, spelling.normBefore, width: D) : nil
  }

  /// [1 + N, D]: positions on the grid of the settings, the class token added to row 0.
  func positions(_ shape: EncoderShape) -> Buffer {
    let (D, grid, fileGrid) = (shape.width, shape.grid, shape.fileGrid)
    let values = fileGridPositions.values
    let positions = Buffer((1 + grid * grid) * D)
    for d in 0..<D { positions.base[d] = values[d] + classToken.values[d] }
    if fileGrid == grid {
      copy(positions.base + D, values + D, grid * grid * D)
    } else {
      let patchPart = Array(UnsafeBufferPointer(start: values + D, count: fileGrid * fileGrid * D))
      let resampled = interpolatePositions(patchPart, from: fileGrid, to: grid, width: D)
      resampled.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { copy(positions.base + D, base, grid * grid * D) }
      }
    }
    return positions
  }
}
