import CPNG
import CTurboJPEG
import Failures
import Foundation

/// JPEG and PNG files to RGB, as Pillow's `convert("RGB")` gives them: alpha dropped, CMYK by its formula, ICC
/// profiles and EXIF orientation ignored (model.md 11). Files are untrusted input.

/// More pixels than any photograph has; a header that claims more is refused before memory is taken.
private let mostPixels = 1 << 28
/// No photograph's file is larger.
private let mostBytes = 1 << 30

private enum Format {
  case jpeg
  case png
}

private func format(_ bytes: [UInt8], path: String) throws -> Format {
  if bytes.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
  if bytes.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
  throw Failure.badData("\(path): is neither JPEG nor PNG")
}

private func readFile(_ path: String) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    throw Failure.missingInput("\(path): cannot be opened: \(String(cString: strerror(errno)))")
  }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size <= mostBytes else {
    throw Failure.badData("\(path): is not an image file of a sane size")
  }
  let size = Int(status.st_size)
  return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
    while count < size {
      let step = read(descriptor, buffer.baseAddress.map { $0 + count }, size - count)
      guard step > 0 else { throw Failure.badData("\(path): cannot be read to its end") }
      count += step
    }
  }
}

/// The image in a JPEG or PNG file.
///
/// - Throws: `Failure` 66 where there is no file, 65 where it is damaged (a truncated JPEG too, about which libjpeg
///   only warns) or of another kind.
public func decodeImage(path: String) throws -> RGBImage {
  let bytes = try readFile(path)
  switch try format(bytes, path: path) {
  case .jpeg: return try decodeJPEG(bytes, path: path)
  case .png:
    let (width, height, channels, pixels) = try decodePNG(bytes, path: path)
    if channels == 3 { return RGBImage(width: width, height: height, pixels: pixels) }
    return RGBImage(width: width, height: height, pixels: pixels.flatMap { [$0, $0, $0] })
  }
}

/// The width and height that a JPEG or PNG file's header tells.
///
/// - Throws: `Failure` 66 or 65.
public func imageSize(path: String) throws -> (width: Int, height: Int) {
  let bytes = try readFile(path)
  switch try format(bytes, path: path) {
  case .jpeg:
    guard let decoder = tjInitDecompress() else { throw Failure.unavailable("libjpeg-turbo cannot start") }
    defer { tjDestroy(decoder) }
    let header = try jpegHeader(decoder, bytes, path: path)
    return (header.width, header.height)
  case .png:
    guard bytes.count >= 24 else { throw Failure.badData("\(path): is an unreadable PNG: it is cut off") }
    func number(_ offset: Int) -> Int { bytes[offset..<(offset + 4)].reduce(0) { $0 << 8 | Int($1) } }
    return (number(16), number(20))
  }
}

/// A segmentation mask's grey levels: a grey file as it is, a colour file by Pillow's luminance
/// (19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶.
public func decodeMask(path: String) throws -> GrayImage {
  let bytes = try readFile(path)
  let image: RGBImage
  switch try format(bytes, path: path) {
  case .jpeg: image = try decodeJPEG(bytes, path: path)
  case .png:
    let (width, height, channels, pixels) = try decodePNG(bytes, path: path)
    if channels == 1 { return GrayImage(width: width, height: height, pixels: pixels) }
    image = RGBImage(width: width, height: height, pixels: pixels)
  }
  let levels = (0..<(image.width * image.height)).map { i -> UInt8 in
    let (r, g, b) = (Int(image.pixels[3 * i]), Int(image.pixels[3 * i + 1]), Int(image.pixels[3 * i + 2]))
    return UInt8((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)
  }
  return GrayImage(width: image.width, height: image.height, pixels: levels)
}

/// A cheap look at a file: its first bytes, and that it ends as such a file does.
///
/// - Throws: `Failure` 66 or 65; that it passes does not prove that the whole file decodes.
public func checkImageEnds(path: String) throws {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else {
    throw Failure.missingInput("\(path): cannot be opened: \(String(cString: strerror(errno)))")
  }
  defer { close(descriptor) }
  var head = [UInt8](repeating: 0, count: 16)
  let count = read(descriptor, &head, head.count)
  let kind = try format(Array(head.prefix(max(count, 0))), path: path)
  let size = lseek(descriptor, 0, SEEK_END)
  let tailCount = min(Int(size), 4096)
  var tail = [UInt8](repeating: 0, count: tailCount)
  guard pread(descriptor, &tail, tailCount, size - off_t(tailCount)) == tailCount else {
    throw Failure.badData("\(path): cannot be read to its end")
  }
  let mark: [UInt8] = kind == .jpeg ? [0xFF, 0xD9] : [0x49, 0x45, 0x4E, 0x44]
  let hasMark =
    tail.count >= mark.count
    && (0...(tail.count - mark.count)).contains { tail[$0..<($0 + mark.count)].elementsEqual(mark) }
  guard hasMark else {
    throw Failure.badData("\(path): is cut off: it has no \(kind == .jpeg ? "JPEG" : "PNG") end marker")
  }
}

private func unreadable(_ decoder: tjhandle, _ path: String) -> Failure {
  Failure.badData("\(path): is an unreadable JPEG: \(String(cString: tjGetErrorStr2(decoder)))")
}

private func jpegHeader(
  _ decoder: tjhandle, _ bytes: [UInt8], path: String
) throws -> (width: Int, height: Int, isCMYK: Bool) {
  var width: Int32 = 0
  var height: Int32 = 0
  var sampling: Int32 = 0
  var space: Int32 = 0
  guard
    tjDecompressHeader3(decoder, bytes, UInt(bytes.count), &width, &height, &sampling, &space) == 0
      || tjGetErrorCode(decoder) == Int32(TJERR_WARNING.rawValue), width > 0, height > 0
  else { throw unreadable(decoder, path) }
  guard Int(width) * Int(height) <= mostPixels else {
    throw Failure.badData("\(path): has \(width) x \(height) pixels, which is too many")
  }
  let isCMYK = space == Int32(TJCS_CMYK.rawValue) || space == Int32(TJCS_YCCK.rawValue)
  return (Int(width), Int(height), isCMYK)
}

private func decodeJPEG(_ bytes: [UInt8], path: String) throws -> RGBImage {
  guard let decoder = tjInitDecompress() else { throw Failure.unavailable("libjpeg-turbo cannot start") }
  defer { tjDestroy(decoder) }
  let (width, height, isCMYK) = try jpegHeader(decoder, bytes, path: path)
  let channels = isCMYK ? 4 : 3
  let count = width * height
  var pixels = [UInt8](repeating: 0, count: count * channels)
  // Decoding goes on after a warning only where it is harmless; a file that ends early is not.
  let flags = TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS
  let status = tjDecompress2(
    decoder, bytes, UInt(bytes.count), &pixels, Int32(width), 0, Int32(height),
    Int32((isCMYK ? TJPF_CMYK : TJPF_RGB).rawValue), flags)
  if status != 0 {
    let text = String(cString: tjGetErrorStr2(decoder))
    let isHarmless = tjGetErrorCode(decoder) == Int32(TJERR_WARNING.rawValue) && text.contains("extraneous bytes")
    guard isHarmless else { throw unreadable(decoder, path) }
  }
  guard isCMYK else { return RGBImage(width: width, height: height, pixels: pixels) }
  // Adobe writes CMYK inverted, and Pillow takes every CMYK JPEG for Adobe's.
  var rgb = [UInt8](repeating: 0, count: count * 3)
  for i in 0..<count {
    let ink = (0..<4).map { 255 - Int(pixels[4 * i + $0]) }
    let light = 255 - ink[3]
    for channel in 0..<3 {
      let product = ink[channel] * light + 128
      rgb[3 * i + channel] = UInt8(clamping: light - ((product >> 8) + product) >> 8)
    }
  }
  return RGBImage(width: width, height: height, pixels: rgb)
}

private func decodePNG(_ bytes: [UInt8], path: String) throws -> (Int, Int, Int, [UInt8]) {
  try bytes.withUnsafeBufferPointer { buffer in
    var source = ala_png_source()
    source.bytes = buffer.baseAddress
    source.count = buffer.count
    var pixels: UnsafeMutablePointer<UInt8>?
    var width: UInt32 = 0
    var height: UInt32 = 0
    var channels: Int32 = 0
    let status = ala_png_decode(&source, mostPixels, &pixels, &width, &height, &channels)
    guard status == 0, let pixels else {
      let text = withUnsafeBytes(of: source.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      throw Failure.badData("\(path): is an unreadable PNG: \(text)")
    }
    defer { free(pixels) }
    let count = Int(width) * Int(height) * Int(channels)
    return (Int(width), Int(height), Int(channels), Array(UnsafeBufferPointer(start: pixels, count: count)))
  }
}
