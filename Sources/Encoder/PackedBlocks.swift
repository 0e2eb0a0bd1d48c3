import Files
import Layers
import Tensor

/// The matrices of the blocks below the first with LoRA, which are run forwards only: rounded where need be and packed.
struct PackedBlocks {
  private var blocks: [[String: PackedWeight]] = []

  private struct Place {
    let name: String
    let map: EncoderWeights.Map
    let product: PackedProduct
    let offset: Int
  }

  /// - Parameters:
  ///   - maps: of each block, by the names q, k, v, out, fc1, fc2; none makes nothing.
  ///   - precision: nil leaves them as they lie.
  ///   - tokens: T, rows of a sample.
  ///   - share: makes one copy for the processes of a machine, now; nil packs for this process alone, when the first of
  ///     the blocks is run.
  /// - Throws: `Failure` 69 where oneDNN has no such products, or there is no memory.
  init(
    _ maps: some Sequence<[String: EncoderWeights.Map]>, precision: Precision?, tokens T: Int, width D: Int,
    share: EncoderFile.Share?
  ) throws {
    guard let precision else { return }
    var products: [PackedShape: PackedProduct] = [:]
    var byteCount = 0
    let places = try maps.map { block in
      try block.sorted { $0.key < $1.key }.map { name, map in
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
    guard byteCount > 0 else { return }
    let pack: @Sendable (UnsafeMutableRawBufferPointer) throws -> Void = { memory in
      guard let base = memory.baseAddress else { preconditionFailure("no memory for the packed weights") }
      for place in places.joined() {
        try place.product.pack(base + place.offset, place.map.values)
        place.map.forgetPages()
      }
    }
    let memory: PackedMemory
    if let share {
      memory = PackedMemory(try share(byteCount, pack))
    } else {
      memory = PackedMemory(try MappedMemory(byteCount: byteCount) { _ in }, fill: pack)
    }
    blocks = places.map { block in
      Dictionary(
        uniqueKeysWithValues: block.map {
          ($0.name, PackedWeight(product: $0.product, memory: memory, offset: $0.offset))
        })
    }
  }

  /// By map; empty where the block is not packed.
  func weights(block index: Int) -> [String: PackedWeight] { blocks.indices.contains(index) ? blocks[index] : [:] }
}
