import CJPEG
import CPNG
import Failures
import Foundation

/// JPEG and PNG files to RGB, as Pillow's `convert("RGB")` gives them: what Pillow decodes whole decodes here, to the
/// same bytes. Alpha is dropped, CMYK goes by Pillow's formula; ICC profiles and EXIF orientation are ignored.

/// The image in a JPEG or PNG file.
///
/// - Throws: `Failure` 66 where there is no file, 65 where it is damaged (a truncated JPEG too, about which libjpeg
///   only warns) or of another kind.
public func decodeImage(path: String) throws -> RGBImage {
  let file = try ImageFile(path: path)
  switch file.format {
  case .jpeg: return try decodeJPEG(file)
  case .png:
    let image = try decodePNG(file, isRaw: false)
    guard image.channels == 1 else { return RGBImage(width: image.width, height: image.height, pixels: image.pixels) }
    let pixels = [UInt8](unsafeUninitializedCapacity: image.pixels.count * 3) { target, count in
      for (index, level) in image.pixels.enumerated() {
        for channel in 0..<3 { target[3 * index + channel] = level }
      }
      count = image.pixels.count * 3
    }
    return RGBImage(width: image.width, height: image.height, pixels: pixels)
  }
}

// MARK: JPEG

/// Where a decoder puts its rows, which it asks for once it knows their size: the image's own memory if they fit it.
private final class Room {
  let image: UnsafeMutableBufferPointer<UInt8>
  var width = 0
  var height = 0
  var channels = 0
  /// Memory for rows that do not fit.
  var other: UnsafeMutablePointer<UInt8>?

  init(_ image: UnsafeMutableBufferPointer<UInt8>) { self.image = image }

  func make(_ width: UInt32, _ height: UInt32, _ channels: Int32) -> UnsafeMutablePointer<UInt8>? {
    (self.width, self.height, self.channels) = (Int(width), Int(height), Int(channels))
    guard self.width * self.height * 3 == image.count else { return nil }
    if channels == 3 { return image.baseAddress }
    other = malloc(self.width * self.height * self.channels)?.assumingMemoryBound(to: UInt8.self)
    return other
  }

  deinit { free(other) }
}

func decodeJPEG(_ file: ImageFile) throws -> RGBImage {
  let header = try file.header()
  let bytes = try file.bytes()
  var message = [CChar](repeating: 0, count: Int(ala_jpeg_message_size))
  var status: Int32 = 0
  let count = header.width * header.height
  let rgb = [UInt8](unsafeUninitializedCapacity: count * 3) { target, done in
    let room = Room(UnsafeMutableBufferPointer(rebasing: target.prefix(count * 3)))
    status = ala_jpeg_decode(bytes, bytes.count, &message, Unmanaged.passUnretained(room).toOpaque()) {
      context, width, height, channels, message in
      guard let context, let message else { return nil }
      if let rows = Unmanaged<Room>.fromOpaque(context).takeUnretainedValue().make(width, height, channels) {
        return rows
      }
      let text = "there is no room for \(width) x \(height) pixels"
      _ = text.withCString { strncpy(message, $0, Int(ala_jpeg_message_size) - 1) }
      return nil
    }
    if status == 0, let inks = room.other { convertCMYK(inks, count: count, to: target) }
    done = status == 0 ? count * 3 : 0
    withExtendedLifetime(room) {}
  }
  guard status == 0 else { throw file.unreadable(text(of: message)) }
  return RGBImage(width: header.width, height: header.height, pixels: rgb)
}

/// Adobe writes CMYK inverted, and Pillow takes every CMYK JPEG for Adobe's.
private func convertCMYK(
  _ pixels: UnsafePointer<UInt8>, count: Int, to rgb: UnsafeMutableBufferPointer<UInt8>
) {
  for i in 0..<count {
    let light = Int(pixels[4 * i + 3])
    for channel in 0..<3 {
      let product = (255 - Int(pixels[4 * i + channel])) * light + 128
      rgb[3 * i + channel] = UInt8(clamping: light - ((product >> 8) + product) >> 8)
    }
  }
}

// MARK: PNG

/// A decoded PNG: 8-bit channels; raw ones as `ala_png_finish` describes them.
struct PNGPixels {
  let width: Int
  let height: Int
  /// Bytes of a pixel.
  let channels: Int
  let pixels: [UInt8]
  /// Of a file with a palette: red, green and blue of each entry.
  let palette: [UInt8]?
}

func decodePNG(_ file: ImageFile, isRaw: Bool) throws -> PNGPixels {
  _ = try file.header()
  var bytes = try file.bytes()
  let completion = bytes.suffix(pngEndChunk.count).elementsEqual(pngEndChunk) ? nil : try file.pngCompletion()
  if let completion, !completion.add.isEmpty { bytes = bytes.prefix(completion.keep) + completion.add }
  return try bytes.withUnsafeBufferPointer { buffer in
    var source = ala_png_source()
    source.bytes = buffer.baseAddress
    source.count = buffer.count
    source.lacks_checksum = completion?.lacksChecksum == true ? 1 : 0
    defer { ala_png_end(&source) }
    func failure() -> Failure {
      file.unreadable(withUnsafeBytes(of: source.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    guard ala_png_begin(&source, ImageHeader.mostPixels) == 0 else { throw failure() }
    let (width, height) = (Int(source.width), Int(source.height))
    let hasPalette = Int32(source.colour_type) == PNG_COLOR_TYPE_PALETTE
    let hasColour = Int32(source.colour_type) & PNG_COLOR_MASK_COLOR != 0
    let channels: Int
    if isRaw && hasPalette {
      channels = 1
    } else if hasColour {
      channels = 3
    } else {
      channels = isRaw && source.depth == 16 ? 2 : 1
    }
    var status: Int32 = 0
    let pixels = [UInt8](unsafeUninitializedCapacity: width * height * channels) { target, count in
      status = ala_png_finish(&source, isRaw ? 1 : 0, width * channels, target.baseAddress)
      count = status == 0 ? width * height * channels : 0
    }
    guard status == 0 else { throw failure() }
    let palette = withUnsafeBytes(of: source.palette) { Array($0.prefix(3 * Int(source.palette_count))) }
    return PNGPixels(
      width: width, height: height, channels: channels, pixels: pixels, palette: hasPalette ? palette : nil)
  }
}
