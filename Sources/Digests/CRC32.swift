import CDeflate

/// The CRC-32 of zlib and gzip (polynomial 0xEDB88320), incrementally: libdeflate's, which multiplies without carries
/// where the processor can.
public struct CRC32: Sendable {
  public private(set) var value: UInt32 = 0

  public init() {}

  public mutating func update(_ bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    value = libdeflate_crc32(value, base, bytes.count)
  }
}
