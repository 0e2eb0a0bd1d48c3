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
