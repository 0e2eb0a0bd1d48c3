import Encoder
import Layers
import Tensor

extension ImageEncoder {
  /// The matrix products of the first blocks, frozen, from pixels, for one sample.
  public func frozenProducts(blocks count: Int) -> ProductCount {
    var products = ProductCount()
    products.add(.forward, m: patchCount, n: width, k: patchValues)
    for block in blocks.prefix(count) {
      products.block(block, tokens: tokens, isBackward: false, isTrained: false)
    }
    return products
  }
}
