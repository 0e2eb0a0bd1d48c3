import CZlib

/// zlib's CRC-32, incrementally.
public struct CRC32: Sendable {
  public private(set) var value: UInt32 = 0

  public init() {}

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    value = UInt32(
      crc32_z(UInt(value), base.assumingMemoryBound(to: UInt8.self), bytes.count))
  }
}
