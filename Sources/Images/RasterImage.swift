/// Pixels in memory.

/// 8-bit RGB, interleaved, row-major from the top left.
public struct RGBImage: Equatable, Sendable {
  public let width: Int
  public let height: Int
  /// [height, width, 3].
  public var pixels: [UInt8]

  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(pixels.count == width * height * 3)
    self.width = width
    self.height = height
    self.pixels = pixels
  }

  /// Some of its columns, as far as it has them; nil where it has none.
  public func columns(_ range: Range<Int>) -> RGBImage? {
    let range = range.clamped(to: 0..<width)
    guard !range.isEmpty else { return nil }
    guard range.count < width else { return self }
    var part: [UInt8] = []
    part.reserveCapacity(range.count * height * 3)
    for y in 0..<height { part += pixels[((y * width + range.lowerBound) * 3)..<((y * width + range.upperBound) * 3)] }
    return RGBImage(width: range.count, height: height, pixels: part)
  }
}

/// The rows of images of one height that stand side by side.
public func sideBySide(_ images: [RGBImage]) -> [UInt8] {
  guard let first = images.first, images.count > 1 else { return images.first?.pixels ?? [] }
  var rows: [UInt8] = []
  rows.reserveCapacity(images.reduce(0) { $0 + $1.pixels.count })
  for y in 0..<first.height {
    for image in images { rows += image.pixels[(y * image.width * 3)..<((y + 1) * image.width * 3)] }
  }
  return rows
}

/// 8-bit grey levels, row-major from the top left.
public struct GrayImage: Equatable, Sendable {
  public let width: Int
  public let height: Int
  /// [height, width].
  public var pixels: [UInt8]

  public init(width: Int, height: Int, pixels: [UInt8]) {
    precondition(pixels.count == width * height)
    self.width = width
    self.height = height
    self.pixels = pixels
  }
}
