import Files
import Layers
import Tensor

/// Frozen blocks' matrices, rounded where need be and packed: one copy for the processes of a machine where `share`
/// makes memory that they share.
struct PackedBlocks {
  private var blocks: [[String: PackedWeight]] = []
  /// What the blocks' weights point into.
  private var memory: MappedMemory?

  private struct Place {
    let name: String
    let map: EncoderWeights.Map
    let product: PackedProduct
    let offset: Int
  }

  /// - Parameters:
  ///   - maps: of each block, by the names q, k, v, out, fc1, fc2; none makes nothing.
  ///   - precision: of each block; nil leaves it as it lies.
  ///   - tokens: T, rows of a sample.
  /// - Throws: `Failure` 69 where oneDNN has no such products.
  init(
    _ maps: [[String: EncoderWeights.Map]], precision: [Precision?], tokens T: Int, width D: Int,
    share: EncoderFile.Share
  ) throws {
    guard precision.contains(where: { $0 != nil }) else { return }
    var products: [PackedShape: PackedProduct] = [:]
    var byteCount = 0
    let places = try zip(maps, precision).map { block, precision in
      guard let precision else { return [Place]() }
      return try block.sorted { $0.key < $1.key }.map { name, map in
        // A block's q, k and v lie side by side in rows of 3·D.
        let shape = PackedShape(
          rows: T, outputs: map.outputs, inputs: map.inputs, strideY: ["q", "k", "v"].contains(name) ? 3 * D : nil,
          precision: precision)
        let product = try products[shape] ?? PackedProduct(shape)
        products[shape] = product
        defer { byteCount += (product.packedBytes + 63) / 64 * 64 }
        return Place(name: name, map: map, product: product, offset: byteCount)
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
          ($0.name, PackedWeight(product: $0.product, packed: base + $0.offset))
        })
    }
  }

  /// By map; empty where the block is not packed.
  func weights(block index: Int) -> [String: PackedWeight] { blocks.indices.contains(index) ? blocks[index] : [:] }
}
