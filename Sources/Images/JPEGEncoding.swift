import CTurboJPEG
import Failures

/// The bytes of a JPEG file, for pictures in pages; 4:4:4, so that a map's colours stay where they are.
///
/// - Parameter quality: 1 to 100.
public func encodeJPEG(_ image: RGBImage, quality: Int = 88) throws -> [UInt8] {
  guard let encoder = tjInitCompress() else { throw Failure.unavailable("libjpeg-turbo cannot start") }
  defer { tjDestroy(encoder) }
  var bytes: UnsafeMutablePointer<UInt8>?
  var size: UInt = 0
  let status = tjCompress2(
    encoder, image.pixels, Int32(image.width), 0, Int32(image.height), Int32(TJPF_RGB.rawValue), &bytes, &size,
    Int32(TJSAMP_444.rawValue), Int32(quality), TJFLAG_ACCURATEDCT)
  defer { tjFree(bytes) }
  guard status == 0, let bytes else {
    throw Failure.internalError("libjpeg-turbo cannot encode an image of \(image.width) x \(image.height) pixels")
  }
  return Array(UnsafeBufferPointer(start: bytes, count: Int(size)))
}
