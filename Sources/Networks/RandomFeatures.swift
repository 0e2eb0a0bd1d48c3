import Encoder
import Randomness
import Tensor

/// Fills values with uniform noise, for measurements that need some and no image.
public func fillWithNoise(_ values: Floats, _ count: Int, seed: UInt64) {
  var stream = RandomStream(seed: seed, name: "bench")
  for index in 0..<count { values[index] = Float(stream.bits()) / Float(UInt32.max) * 3 - 1.5 }
}

extension NetworkPass {
  /// Fills what a sample has from the cache with noise: h⁽ˡ⁾ in the tail's place, and the layers below that the network
  /// reads.
  public func fillFeaturesWithNoise(_ index: Int, of network: any Network, tail layer: Int) {
    let encoder = network.encoder
    fillWithNoise(tail(index), encoder.tokens * encoder.width, seed: UInt64(index) + 1)
    for frozen in network.frozenLayers where frozen < layer {
      fillWithNoise(feature(frozen, index), encoder.patchCount * encoder.width, seed: UInt64(frozen))
    }
  }
}
