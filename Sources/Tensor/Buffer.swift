import Foundation

// Storage of the numeric code: float32, row-major, 64-byte aligned, never moved.

/// What kernels read and write. Lengths are the caller's promise, checked at the border of a layer.
public typealias Floats = UnsafeMutablePointer<Float>
public typealias ConstFloats = UnsafePointer<Float>

/// A block of float32 that lives as long as its owner.
public final class Buffer: @unchecked Sendable {
  public let base: Floats
  public let count: Int

  private let mappedBytes: Int

  /// Larger blocks are mapped, so that their pages cost memory only once they are touched.
  private static let smallestMapping = 1 << 16

  /// Zero-filled.
  public init(_ count: Int) {
    self.count = count
    let bytes = max(count, 1) * MemoryLayout<Float>.stride
    if bytes >= Self.smallestMapping,
      let memory = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), memory != MAP_FAILED
    {
      mappedBytes = bytes
      base = memory.bindMemory(to: Float.self, capacity: count)
    } else {
      mappedBytes = 0
      let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
      memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
      base = memory.bindMemory(to: Float.self, capacity: max(count, 1))
    }
  }

  deinit {
    if mappedBytes > 0 {
      munmap(base, mappedBytes)
    } else {
      UnsafeMutableRawPointer(base).deallocate()
    }
  }
}

/// Hands out consecutive ranges of a block whose size is not known until all have been asked for.
public struct Layout {
  public private(set) var count = 0
  public init() {}

  /// The offset of the next `size` floats, aligned to 16 floats so that every range starts on a cache line.
  public mutating func take(_ size: Int) -> Int {
    let offset = count
    count += (size + 15) / 16 * 16
    return offset
  }
}
