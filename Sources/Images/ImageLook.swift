import Failures

/// A cheap look at an image file: its header and its end, not its pixels.
public struct ImageLook: Equatable, Sendable {
  /// Pixels, as stored.
  public let width: Int
  public let height: Int
  /// EXIF's, 1 to 8; 1 is upright, and what a file says that says nothing.
  public let orientation: Int

  /// - Throws: `Failure` 66 where there is no file; 65 where it is of another kind, has no sound header, or is cut off.
  ///   That it passes does not prove that the whole file decodes.
  public init(path: String) throws {
    let file = try ImageFile(path: path)
    let header = try file.header()
    (width, height, orientation) = (header.width, header.height, header.orientation)
    let isWhole = try file.format == .jpeg ? file.hasJPEGEnd(after: header.end) : file.hasPNGEnd()
    guard isWhole else { throw Failure.badData("\(path): is cut off: it has no \(file.format.name) end marker") }
  }

  /// What to say once of images that viewers turn.
  public static func orientationRemark(_ count: Int, of total: Int, first: String) -> String {
    "\(count) of \(total) image\(total == 1 ? " has" : "s have") an EXIF orientation, \(first) the first; it is ignored, "
      + "and the pixels are taken as they are stored"
  }
}

/// The width and height that a JPEG or PNG file's header tells.
///
/// - Throws: `Failure` 66 or 65.
public func imageSize(path: String) throws -> (width: Int, height: Int) {
  let file = try ImageFile(path: path)
  let header = try file.header()
  return (header.width, header.height)
}

/// What stands before the pixels of a file.
struct ImageHeader {
  let width: Int
  let height: Int
  /// EXIF's; 1 where nothing is said.
  let orientation: Int
  /// Where the header ends, in bytes from the file's beginning.
  let end: Int

  /// More than any photograph has.
  static let mostPixels = 1 << 28
  /// That libjpeg and `ala_png_begin` take.
  private static let mostJPEGSide = 65_500
  private static let mostPNGSide = 1 << 20

  /// What the decoder would refuse of a file that has this header; nil where nothing.
  func excess(_ format: ImageFormat) -> String? {
    let side = format == .jpeg ? Self.mostJPEGSide : Self.mostPNGSide
    guard max(width, height) > side || height > Self.mostPixels / width else { return nil }
    return "it has \(width) x \(height) pixels; expected \(side) a side and \(Self.mostPixels) in all at most"
  }
}

extension ImageFile {
  /// - Throws: `Failure` 65 where there is none, or where it claims more pixels than are decoded.
  func header() throws -> ImageHeader {
    let header =
      switch format {
      case .jpeg: try jpegHeader()
      case .png: try pngHeader()
      }
    if let excess = header.excess(format) { throw unreadable(excess) }
    return header
  }

  /// Whether a mark stands in the last part of the file, where it nearly always is.
  func hasMarkNearEnd(_ mark: [UInt8]) throws -> Bool {
    let tail = Array(try bytes(at: max(size - Self.windowCount, 0), count: Self.windowCount))
    guard tail.count >= mark.count else { return false }
    return (0...(tail.count - mark.count)).contains { tail[$0] == mark[0] && tail[$0...].starts(with: mark) }
  }

  /// The orientation that an EXIF block tells; nil where it tells none.
  ///
  /// - Parameters:
  ///   - start: of the block's TIFF header.
  ///   - count: bytes of the block from there.
  func orientation(exifAt start: Int, count: Int) throws -> Int? {
    let order = Array(try bytes(at: start, count: 2))
    guard order == [0x49, 0x49] || order == [0x4D, 0x4D] else { return nil }
    func field(_ offset: Int, _ width: Int) throws -> Int? {
      guard offset + width <= count else { return nil }
      let bytes = Array(try bytes(at: start + offset, count: width))
      guard bytes.count == width else { return nil }
      return (order[0] == 0x4D ? bytes : bytes.reversed()).reduce(0) { $0 << 8 | Int($1) }
    }
    let orientationTag = 0x0112
    guard let directory = try field(4, 4), let entries = try field(directory, 2) else { return nil }
    for entry in 0..<entries {
      let place = directory + 2 + 12 * entry
      guard let tag = try field(place, 2) else { return nil }
      if tag == orientationTag { return try field(place + 8, 2).flatMap { (1...8).contains($0) ? $0 : nil } }
    }
    return nil
  }
}

/// Whether a file begins as JPEG or PNG files do; false where it cannot be read.
public func isPicture(_ path: String) -> Bool { (try? ImageFile(path: path)) != nil }
