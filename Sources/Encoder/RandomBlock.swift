import Files
import Layers
import Randomness
import Tensor

extension ImageEncoder {
  /// The standard deviation with which vision transformers' linear maps begin, cut at two of them.
  private static let initialDeviation = 0.02

  /// Gives what is frozen of a block, and of this encoder alone, the values that an untrained encoder begins with:
  /// linear maps truncated normal, biases 0, norms 1 and 0. LoRA's tensors stay as they are. To be called while nothing
  /// runs on the encoder.
  ///
  /// - Parameters:
  ///   - number: of the block, from 1.
  ///   - seed: of the streams `cascade/<tensor>`.
  ///   - share: see `EncoderFile`.
  /// - Throws: `Failure` 69 where there is no memory.
  public func randomise(block number: Int, seed: UInt64, share: EncoderFile.Share? = nil) throws {
    let block = blocks[number - 1]
    let maps = [
      ("attn.q", block.q), ("attn.k", block.k), ("attn.v", block.v), ("attn.out", block.out), ("mlp.fc1", block.fc1),
      ("mlp.fc2", block.fc2),
    ]
    var layout = Layout()
    let places = maps.map { layout.take($1.inputs * $1.outputs) }
    let zeros = layout.take(max(width, block.hidden))
    let ones = layout.take(width)
    let share = share ?? { try MappedMemory(byteCount: $0, fill: $1) }
    let memory = try share(layout.count * MemoryLayout<Float>.stride) { bytes in
      let values = bytes.bindMemory(to: Float.self)
      for ((name, map), place) in zip(maps, places) {
        var stream = RandomStream(seed: seed, name: "cascade/encoder.blocks.\(number).\(name).weight")
        for index in 0..<(map.inputs * map.outputs) {
          values[place + index] = Float(Self.initialDeviation * stream.truncatedNormal(cut: 2))
        }
      }
      for index in zeros..<ones { values[index] = 0 }
      for index in ones..<(ones + width) { values[index] = 1 }
    }
    randomBlocks.append(memory)
    let values = memory.bytes.bindMemory(to: Float.self)
    guard let base = values.baseAddress else { preconditionFailure("no memory for a block's weights") }
    func linear(_ index: Int) -> Linear {
      let map = maps[index].1
      return Linear(
        inputs: map.inputs, outputs: map.outputs, weight: .frozen(base + places[index]), bias: .frozen(base + zeros),
        lora: map.lora)
    }
    func norm(_ old: LayerNorm) -> LayerNorm {
      LayerNorm(width: width, eps: old.eps, weight: .frozen(base + ones), bias: .frozen(base + zeros))
    }
    blocks[number - 1] = TransformerBlock(
      norm1: norm(block.norm1), q: linear(0), k: linear(1), v: linear(2), out: linear(3), norm2: norm(block.norm2),
      fc1: linear(4), fc2: linear(5), heads: heads, activation: activation)
  }
}
