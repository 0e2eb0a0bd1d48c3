import Foundation

/// Numbers that become one word of text (base64 of little-endian float32) in a journal's line: exact, whatever they are.
public struct PackedFloats: Codable, Sendable {
  public let values: [Float]

  public init(_ values: [Float]) { self.values = values }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    guard let data = Data(base64Encoded: try container.decode(String.self)), data.count % 4 == 0 else {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: "expected base64 of 32-bit values")
    }
    values = data.withUnsafeBytes { bytes in
      (0..<(data.count / 4)).map {
        Float(bitPattern: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * $0, as: UInt32.self)))
      }
    }
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    let words = values.map { $0.bitPattern.littleEndian }
    try container.encode(words.withUnsafeBytes { Data($0) }.base64EncodedString())
  }
}
