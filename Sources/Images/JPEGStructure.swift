/// The way through a JPEG file by its markers, without decoding (ITU-T T.81, annex B).
extension ImageFile {
  private static let end = 0xD9
  private static let startOfScan = 0xDA
  private static let application1 = 0xE1
  /// Markers without a length: TEM, restarts, and the start of the image.
  private static func isAlone(_ marker: Int) -> Bool { marker == 0x01 || (0xD0...0xD8).contains(marker) }
  /// Frame headers, which tell the size: all of C0 to CF but DHT, JPG and DAC.
  private static func isFrame(_ marker: Int) -> Bool {
    (0xC0...0xCF).contains(marker) && ![0xC4, 0xC8, 0xCC].contains(marker)
  }

  /// The marker at or behind an offset, and where it ends; nil at the end of the file. Stray bytes between segments
  /// are passed over, as decoders do.
  private func marker(from offset: Int) throws -> (code: Int, end: Int)? {
    var offset = offset
    while let byte = try number(at: offset, count: 1) {
      offset += 1
      guard byte == 0xFF else { continue }
      while let code = try number(at: offset, count: 1) {
        offset += 1
        if code == 0xFF { continue }
        if code != 0 { return (code, offset) }
        break
      }
    }
    return nil
  }

  func jpegHeader() throws -> ImageHeader {
    var orientation: Int?
    var size: (width: Int, height: Int)?
    var offset = 2
    while let (code, start) = try marker(from: offset), code != Self.end {
      if Self.isAlone(code) {
        offset = start
        continue
      }
      guard let length = try number(at: start, count: 2), length >= 2 else { break }
      if Self.isFrame(code), let height = try number(at: start + 3, count: 2),
        let width = try number(at: start + 5, count: 2)
      {
        size = (width, height)
      }
      if code == Self.application1, orientation == nil,
        try bytes(at: start + 2, count: 6).elementsEqual([0x45, 0x78, 0x69, 0x66, 0, 0])
      {
        orientation = try self.orientation(exifAt: start + 8, count: length - 8)
      }
      offset = start + length
      if code == Self.startOfScan, let size {
        guard size.width > 0, size.height > 0 else { throw unreadable("it has \(size.width) x \(size.height) pixels") }
        return ImageHeader(width: size.width, height: size.height, orientation: orientation ?? 1, end: offset)
      }
    }
    throw unreadable("it has no picture before its end")
  }

  /// Whether the end marker is there. Whatever follows it (padding, the film of a motion photo) may be of any length.
  ///
  /// - Parameter offset: where the data of the first scan begin.
  func hasJPEGEnd(after offset: Int) throws -> Bool {
    if try hasMarkNearEnd([0xFF, UInt8(Self.end)]) { return true }
    var offset = offset
    while let (code, start) = try scanEnd(from: offset) {
      if code == Self.end { return true }
      guard let length = try number(at: start, count: 2), length >= 2 else { return false }
      offset = start + length
    }
    return false
  }

  /// The marker that ends a scan's data: neither a stuffed zero nor a restart.
  private func scanEnd(from offset: Int) throws -> (code: Int, end: Int)? {
    var offset = offset
    while let (code, end) = try scanMarker(from: offset) {
      if !Self.isAlone(code) { return (code, end) }
      offset = end
    }
    return nil
  }

  /// As `marker(from:)`, but through long data: a window at a time.
  private func scanMarker(from offset: Int) throws -> (code: Int, end: Int)? {
    var offset = offset
    while offset < size {
      let part = try bytes(at: offset, count: Self.windowCount)
      guard let place = part.firstIndex(of: 0xFF) else {
        offset += part.count
        continue
      }
      offset += place - part.startIndex + 1
      var code = try number(at: offset, count: 1)
      while code == 0xFF {
        offset += 1
        code = try number(at: offset, count: 1)
      }
      guard let code else { return nil }
      offset += 1
      if code != 0 { return (code, offset) }
    }
    return nil
  }
}
