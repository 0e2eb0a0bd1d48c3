import CPNG
import Failures

/// The bytes of an 8-bit RGB PNG file.
public func encodePNG(_ image: RGBImage) throws -> [UInt8] {
  try encode(image.pixels, width: image.width, height: image.height, format: UInt32(PNG_FORMAT_RGB))
}

/// The bytes of an 8-bit grey PNG file.
public func encodePNG(_ image: GrayImage) throws -> [UInt8] {
  try encode(image.pixels, width: image.width, height: image.height, format: UInt32(PNG_FORMAT_GRAY))
}

private func encode(_ pixels: [UInt8], width: Int, height: Int, format: UInt32) throws -> [UInt8] {
  var image = png_image()
  image.version = UInt32(PNG_IMAGE_VERSION)
  image.width = UInt32(width)
  image.height = UInt32(height)
  image.format = format
  var size = 0
  guard png_image_write_to_memory(&image, nil, &size, 0, pixels, 0, nil) != 0 else {
    throw Failure.internalError("libpng cannot encode an image of \(width) x \(height) pixels")
  }
  var bytes = [UInt8](repeating: 0, count: size)
  guard png_image_write_to_memory(&image, &bytes, &size, 0, pixels, 0, nil) != 0 else {
    throw Failure.internalError("libpng cannot encode an image of \(width) x \(height) pixels")
  }
  return Array(bytes.prefix(size))
}

/// A PNG file that is made rows at a time, so that a large picture is never in memory as a whole.
public final class PNGRows {
  private var target = ala_png_target()
  private let rowBytes: Int
  private let sink: (UnsafeRawBufferPointer) throws -> Void

  /// Beyond so many pixels files are compressed less, in a fraction of the time.
  private static let mostPixelsAtLeisure = 1 << 24

  /// - Parameters:
  ///   - channels: 3 (RGB) or 1 (grey), of 8 bits.
  ///   - sink: is given the file's bytes in their order.
  public init(width: Int, height: Int, channels: Int, to sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws
  {
    precondition(channels == 3 || channels == 1)
    rowBytes = width * channels
    self.sink = sink
    let isFast = width * height > Self.mostPixelsAtLeisure
    try check(ala_png_target_begin(&target, UInt32(width), UInt32(height), Int32(channels), isFast ? 1 : 0))
  }

  deinit { ala_png_target_end(&target) }

  /// Appends whole rows.
  public func write(_ rows: [UInt8]) throws {
    precondition(rows.count % rowBytes == 0)
    try check(ala_png_target_rows(&target, rows, rowBytes, UInt32(rows.count / rowBytes)))
  }

  /// Ends the file, once all rows are written.
  public func finish() throws { try check(ala_png_target_finish(&target)) }

  /// Hands on what has been written.
  private func check(_ status: Int32) throws {
    guard status == 0 else {
      throw Failure.internalError(
        "libpng cannot encode a picture: "
          + withUnsafeBytes(of: target.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    try sink(UnsafeRawBufferPointer(start: target.bytes, count: target.count))
    target.count = 0
  }
}
