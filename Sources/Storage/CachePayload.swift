import Failures

/// A row's bytes as they lie in its shard: pixels, stored layers, tail.
extension FeatureCache {
  /// Room for a row's bytes as they lie in the file.
  public var rowBytes: Int {
    let layout = fingerprint.layout
    return layout.pixelBytes + (layout.layers.count * layout.layerCount + layout.tailCount) * layout.type.bytes
  }

  /// Puts a row's values into `payload` (`rowBytes`), narrowed to the cache's type.
  ///
  /// - Parameter pixels: [S, S, 3].
  /// - Throws: `Failure` 65 where a feature does not fit float16.
  public func pack(
    _ payload: UnsafeMutableRawBufferPointer, pixels: UnsafePointer<UInt8>, layers: [UnsafePointer<Float>],
    tail: UnsafePointer<Float>, key: CacheRow
  ) throws {
    let layout = fingerprint.layout
    guard var target = payload.baseAddress else { return }
    target.copyMemory(from: pixels, byteCount: layout.pixelBytes)
    target += layout.pixelBytes
    var isFinite = true
    for (source, count) in layers.map({ ($0, layout.layerCount) }) + [(tail, layout.tailCount)] {
      if layout.type == .float32 {
        target.copyMemory(from: source, byteCount: count * 4)
      } else {
        for index in 0..<count {
          let half = Float16(source[index])
          isFinite = isFinite && half.isFinite
          (target + 2 * index).storeBytes(of: half, as: Float16.self)
        }
      }
      target += count * layout.type.bytes
    }
    guard isFinite else {
      throw Failure.badData(
        "image \(key.imageID), view \(key.view): a feature is beyond float16; set cache.dtype to float32")
    }
  }

  /// Widens the features of a row that has been read to float32. Its pixels [S, S, 3] begin the payload.
  ///
  /// - Parameters:
  ///   - layers: for each stored layer, [N, D]; nil where it is not wanted.
  ///   - tail: [1 + N, D].
  public func unpack(
    _ payload: UnsafeRawPointer, layers: [UnsafeMutablePointer<Float>?], tail: UnsafeMutablePointer<Float>
  ) {
    let layout = fingerprint.layout
    var source = payload + layout.pixelBytes
    for layer in layers {
      if let layer { widen(source, to: layer, count: layout.layerCount) }
      source += layout.layerCount * layout.type.bytes
    }
    widen(source, to: tail, count: layout.tailCount)
  }

  private func widen(_ source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>, count: Int) {
    if fingerprint.layout.type == .float32 {
      UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: count * 4)
      return
    }
    var index = 0
    while index + 8 <= count {
      let half = (source + 2 * index).loadUnaligned(as: SIMD8<Float16>.self)
      UnsafeMutableRawPointer(target + index).storeBytes(of: SIMD8<Float>(half), as: SIMD8<Float>.self)
      index += 8
    }
    while index < count {
      target[index] = Float((source + 2 * index).loadUnaligned(as: Float16.self))
      index += 1
    }
  }
}
