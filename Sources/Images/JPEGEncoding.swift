import CJPEG
import Failures
import Foundation

/// The bytes of a JPEG file, for pictures in pages; 4:4:4, so that a map's colours stay where they are.
///
/// - Parameter quality: 1 to 100.
public func encodeJPEG(_ image: RGBImage, quality: Int = 88) throws -> [UInt8] {
  var bytes: UnsafeMutablePointer<UInt8>?
  var size: UInt = 0
  var message = [CChar](repeating: 0, count: Int(ala_jpeg_message_size))
  let status = ala_jpeg_encode(
    image.pixels, UInt32(image.width), UInt32(image.height), Int32(quality), &bytes, &size, &message)
  guard status == 0, let bytes else {
    throw Failure.internalError(
      "libjpeg cannot encode an image of \(image.width) x \(image.height) pixels: \(text(of: message))")
  }
  defer { free(bytes) }
  return Array(UnsafeBufferPointer(start: bytes, count: Int(size)))
}

/// A C text, up to its end.
func text(of message: [CChar]) -> String {
  String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
