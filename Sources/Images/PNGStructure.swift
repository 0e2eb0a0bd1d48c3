import Digests

/// The chunk that ends every whole file.
let pngEndChunk: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]

/// The way through a PNG file by its chunks, without decoding (PNG specification, section 5).
extension ImageFile {
  static let pngSignatureCount = 8

  /// A chunk's type and the place and length of its data; nil where the file has no whole chunk head any more.
  private func chunk(at offset: Int) throws -> (type: String, data: Int, count: Int)? {
    guard let count = try number(at: offset, count: 4) else { return nil }
    let type = try bytes(at: offset + 4, count: 4)
    guard type.count == 4 else { return nil }
    return (String(decoding: type, as: UTF8.self), offset + 8, count)
  }

  func pngHeader() throws -> ImageHeader {
    guard let header = try chunk(at: Self.pngSignatureCount), header.type == "IHDR",
      let width = try number(at: header.data, count: 4), let height = try number(at: header.data + 4, count: 4)
    else { throw unreadable("its header is missing or cut off") }
    guard width > 0, height > 0 else { throw unreadable("it has \(width) x \(height) pixels") }
    var orientation: Int?
    var offset = header.data + header.count + 4
    while let next = try chunk(at: offset), next.type != "IDAT" {
      if next.type == "eXIf" { orientation = try self.orientation(exifAt: next.data, count: next.count) }
      offset = next.data + next.count + 4
    }
    return ImageHeader(width: width, height: height, orientation: orientation ?? 1, end: offset)
  }

  /// Whether the end chunk is there, or at least all of the pixels' data. Whatever follows the end may be of any length.
  func hasPNGEnd() throws -> Bool {
    try hasMarkNearEnd(Array("IEND".utf8)) || pngCompletion() != nil
  }

  /// How a file becomes one with an end chunk: the bytes of it to keep, and those to add. Files that end behind the
  /// pixels' data are whole for readers that stop there, as Pillow does. nil where pixels' data are missing.
  func pngCompletion() throws -> (keep: Int, add: [UInt8], lacksChecksum: Bool)? {
    // The last bytes of the compressed data are a checksum, without which the pixels are whole.
    let checksumCount = 4
    var offset = Self.pngSignatureCount
    var pixels: Range<Int>?
    while let next = try chunk(at: offset), next.type.utf8.allSatisfy({ UInt8(ascii: "A")...UInt8(ascii: "z") ~= $0 }) {
      let end = next.data + next.count
      if end + 4 > size {
        guard next.type == "IDAT" else { break }
        let missing = max(end - size, 0)
        guard missing <= checksumCount else { return nil }
        var sum = CRC32()
        let stored = try bytes(at: offset + 4, count: 4 + next.count)
        let data = stored + [UInt8](repeating: 0, count: missing)
        data.withUnsafeBytes { sum.update($0) }
        let tail = data.suffix(missing) + withUnsafeBytes(of: sum.value.bigEndian) { Array($0) }
        return (min(end, size), tail + pngEndChunk, missing > 0)
      }
      if next.type == "IEND" { return (size, [], false) }
      if next.type == "IDAT" { pixels = (offset + 4)..<end }
      offset = end + 4
    }
    // What stands where the pixels' data should go on may be anything: the last checksum tells.
    guard let pixels else { return nil }
    var sum = CRC32()
    try bytes(at: pixels.lowerBound, count: pixels.count).withUnsafeBytes { sum.update($0) }
    return try number(at: pixels.upperBound, count: 4) == Int(sum.value) ? (offset, pngEndChunk, false) : nil
  }
}
