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
