import Files
import Layers
import Tensor

/// The frozen blocks' matrices rounded to bfloat16 and packed, two bytes a weight: one copy for the processes of a
/// machine where `share` makes memory that they share.
struct BFloat16Blocks {
  private var blocks: [[String: BFloat16Weight]] = []
  /// What the blocks' weights point into.
  private var memory: MappedMemory?

  /// - Parameters:
  ///   - maps: of each block, by the names q, k, v, out, fc1, fc2; none makes nothing.
  ///   - tokens: T, rows of a sample.
  /// - Throws: `Failure` 69 where bfloat16 is not available.
  init(_ maps: [[String: EncoderWeights.Map]], tokens T: Int, width D: Int, share: EncoderFile.Share) throws {
    guard !maps.isEmpty else { return }
    var products: [BFloat16Shape: BFloat16Product] = [:]
    var byteCount = 0
    let places = try maps.map { block in
      try block.sorted { $0.key < $1.key }.map { name, map in
        // A block's q, k and v lie side by side in rows of 3·D.
        let shape = BFloat16Shape(
          rows: T, outputs: map.outputs, inputs: map.inputs, strideY: ["q", "k", "v"].contains(name) ? 3 * D : nil)
        let product = try products[shape] ?? BFloat16Product(shape)
        products[shape] = product
        defer { byteCount += (product.packedBytes + 63) / 64 * 64 }
        return (name: name, map: map, product: product, offset: byteCount)
      }
    }
    let memory = try share(byteCount) { memory in
      guard let base = memory.baseAddress else { return }
      for place in places.joined() {
        try place.product.pack(base + place.offset, place.map.values)
        place.map.forgetPages()
      }
    }
    self.memory = memory
    guard let base = memory.bytes.baseAddress else { preconditionFailure("no memory for the packed weights") }
    blocks = places.map { block in
      Dictionary(
        uniqueKeysWithValues: block.map {
          ($0.name, BFloat16Weight(product: $0.product, packed: base + $0.offset))
        })
    }
  }

  /// By map; empty where the block stays float32.
  func weights(block index: Int) -> [String: BFloat16Weight] { blocks.indices.contains(index) ? blocks[index] : [:] }
}
