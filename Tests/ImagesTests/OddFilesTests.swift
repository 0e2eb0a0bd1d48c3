import Digests
import Failures
import Foundation
import Images
import TestSupport
import Testing

/// Files that Pillow reads and stricter readers refuse (`scripts/fixtures/odd_files.py`).

private struct Odd: Codable, Sendable, CustomTestStringConvertible {
  let file: String
  let width: Int
  let height: Int
  let sha256: String
  var testDescription: String { file }
}

private let odd: [Odd] = {
  let data = FileManager.default.contents(atPath: Fixture.path("odd/index.json")) ?? Data()
  return (try? JSONDecoder().decode([Odd].self, from: data)) ?? []
}()

@Test func thereAreOddFiles() { #expect(odd.count >= 15) }

@Test(arguments: odd) private func whatPillowDecodesDecodesToTheSameBytes(_ odd: Odd) throws {
  let path = Fixture.path("odd/\(odd.file)")
  let image = try decodeImage(path: path)
  let hash = SHA256()
  image.pixels.withUnsafeBytes { hash.update($0) }
  #expect(image.width == odd.width && image.height == odd.height && hash.finish() == odd.sha256)
  let look = try ImageLook(path: path)
  #expect(look.width == odd.width && look.height == odd.height)
}

private func written(_ bytes: Data, _ name: String, in folder: TemporaryFolder) throws -> String {
  let path = "\(folder.path)/\(name)"
  try bytes.write(to: URL(fileURLWithPath: path))
  return path
}

@Test(arguments: ["420.jpg", "progressive.jpg", "grey.jpg", "cmyk.jpg", "rgb.png", "palette.png"], [1, 4095, 300_000])
func whateverFollowsTheEndMarkerIsNoPartOfTheImage(name: String, count: Int) throws {
  let folder = try TemporaryFolder()
  let bytes = FileManager.default.contents(atPath: Fixture.path(name)) ?? Data()
  let image = try decodeImage(path: Fixture.path(name))
  // Padding, and something like the film of a motion photo, with marks of its own.
  let film = Data((0..<count).map { UInt8(truncatingIfNeeded: $0 &* 167 &+ $0 >> 7) })
  for (kind, tail) in [("zeros", Data(count: count)), ("film", film)] {
    let path = try written(bytes + tail, "\(kind)-\(name)", in: folder)
    #expect(try decodeImage(path: path) == image)
    #expect(try ImageLook(path: path).width == image.width)
  }
}

@Test(arguments: ["420.jpg", "progressive.jpg", "rgb.png"]) func aFileCutShortIsRefusedHoweverItIsPadded(name: String)
  throws
{
  let folder = try TemporaryFolder()
  let bytes = FileManager.default.contents(atPath: Fixture.path(name)) ?? Data()
  for count in [0, 10_000] {
    let path = try written(bytes.prefix(bytes.count / 2) + Data(count: count), "\(count)-\(name)", in: folder)
    let decoding = #expect(throws: Failure.self) { try decodeImage(path: path) }
    #expect(decoding?.code == .badData && decoding?.message.contains(path) == true)
    let look = #expect(throws: Failure.self) { try ImageLook(path: path) }
    #expect(look?.code == .badData && look?.message.contains("cut off") == true)
  }
}

@Test(arguments: [("odd/turned.jpg", 6), ("odd/turned.png", 3), ("420.jpg", 1), ("rgb.png", 1)])
func theLookTellsTheOrientation(name: String, expected: Int) throws {
  #expect(try ImageLook(path: Fixture.path(name)).orientation == expected)
}

@Test(arguments: [
  ("RIFF\u{10}\u{0}\u{0}\u{0}WEBPVP8 ", "WebP"), ("GIF89a", "GIF"),
  ("BM\u{46}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}", "BMP"),
  ("II*\u{0}", "TIFF"), ("MM\u{0}*", "TIFF"), ("\u{0}\u{0}\u{0}\u{1C}ftypavif\u{0}\u{0}\u{0}\u{0}mif1miaf", "AVIF"),
  ("\u{0}\u{0}\u{0}\u{1C}ftypmif1\u{0}\u{0}\u{0}\u{0}avifmif1", "AVIF"),
  ("\u{0}\u{0}\u{0}\u{18}ftypheic\u{0}\u{0}\u{0}\u{0}mif1", "HEIC"), ("\u{0}\u{0}\u{0}\u{18}ftypisom", "film"),
  ("<!DOCTYPE html><html>", "web page"), ("version https://git-lfs.github.com/spec/v1\n", "Git LFS"), ("", "is empty"),
  ("<svg xmlns=\"a\">", "SVG"), ("%PDF-1.7", "PDF"), ("\u{0}\u{0}\u{0}\u{0}\u{0}", "zeros"),
  ("hello", "neither JPEG nor PNG"),
]) func aFileOfAnotherKindIsNamedForWhatItIs(content: String, expected: String) throws {
  let folder = try TemporaryFolder()
  let path = try written(Data(content.utf8), "picture.jpg", in: folder)
  for failure in [
    #expect(throws: Failure.self) { try decodeImage(path: path) },
    #expect(throws: Failure.self) { try ImageLook(path: path) },
  ] {
    #expect(failure?.code == .badData && failure?.message.hasPrefix(path) == true)
    #expect(failure?.message.contains(expected) == true, "\(failure?.message ?? "")")
  }
}

/// A PNG or JPEG of any size by its header, with an end and without pixels.
private func claiming(_ width: UInt32, _ height: UInt32, isPNG: Bool) -> Data {
  func bytes(_ value: UInt32, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
  }
  func chunk(_ type: String, _ data: [UInt8]) -> [UInt8] {
    var sum = CRC32()
    (Array(type.utf8) + data).withUnsafeBytes { sum.update($0) }
    return bytes(UInt32(data.count), 4) + Array(type.utf8) + data + bytes(sum.value, 4)
  }
  guard isPNG else {
    return Data(
      [0xFF, 0xD8, 0xFF, 0xC0, 0, 11, 8] + bytes(height, 2) + bytes(width, 2) + [1, 1, 0x11, 0]
        + [0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0, 0x55, 0xFF, 0xD9])
  }
  return Data(
    [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]
      + chunk("IHDR", bytes(width, 4) + bytes(height, 4) + [8, 0, 0, 0, 0])
      + chunk("IDAT", [0x78]) + chunk("IEND", []))
}

@Test(
  arguments: [
    (65_536, 65_536, true), (1 << 14, 1 << 14 + 1, true), (1 << 20 + 1, 1, true), (1, 1 << 20 + 1, true),
    (.max, .max, true), (.max, 1, true), (65_500, 65_500, false), (65_501, 1, false), (1, 65_535, false),
  ] as [(UInt32, UInt32, Bool)])
func whatHasMorePixelsThanAreDecodedIsRefusedAtTheFirstLook(width: UInt32, height: UInt32, isPNG: Bool) throws {
  let folder = try TemporaryFolder()
  let path = try written(claiming(width, height, isPNG: isPNG), "large", in: folder)
  let words = "\(path): is an unreadable \(isPNG ? "PNG" : "JPEG"): it has \(width) x \(height) pixels; expected "
  for failure in [
    #expect(throws: Failure.self) { try ImageLook(path: path) },
    #expect(throws: Failure.self) { try decodeImage(path: path) },
    #expect(throws: Failure.self) { try imageSize(path: path) },
  ] { #expect(failure?.code == .badData && failure?.message.hasPrefix(words) == true, "\(failure as Any)") }
}

@Test(arguments: [(1 << 14, 1 << 14, true), (1 << 20, 256, true), (65_500, 4098, false)] as [(UInt32, UInt32, Bool)])
func whatHasAsManyPixelsAsAreDecodedPassesTheFirstLook(width: UInt32, height: UInt32, isPNG: Bool) throws {
  let folder = try TemporaryFolder()
  let look = try ImageLook(path: try written(claiming(width, height, isPNG: isPNG), "large", in: folder))
  #expect(look.width == Int(width) && look.height == Int(height))
}

// MARK: Masks

/// A rectangle of columns 10 to 19 and rows 4 to 11, in each kind of file.
@Test(arguments: [
  "grey", "bilevel", "palette-colours", "palette-void", "palette-ramp", "palette-white-first", "palette-black-white",
  "palette-red-white", "luminance", "wide",
]) func aMaskOfAnyKindIsTheSameForeground(name: String) throws {
  let mask = try decodeMask(path: Fixture.path("masks/\(name).png"), threshold: standardMaskThreshold)
  try #require(mask.width == 40 && mask.height == 30)
  for y in 0..<30 {
    for x in 0..<40 {
      #expect((Int(mask.pixels[y * 40 + x]) > standardMaskThreshold) == ((10..<20).contains(x) && (4..<12).contains(y)))
    }
  }
}

@Test func levelsOfAGreyMaskStayWhatTheyAre() throws {
  let dark = try decodeMask(path: Fixture.path("masks/dark.png"), threshold: 127)
  #expect(Set(dark.pixels) == [0, 5])
  let wide = try decodeMask(path: Fixture.path("masks/wide-labels.png"), threshold: 127)
  #expect(Set(wide.pixels) == [0, 200])
}

@Test func aMasksThresholdIsAskedFor() {
  let mask = GrayImage(width: 4, height: 4, pixels: (0..<16).map { $0 < 8 ? 0 : 5 })
  let view = ViewGeometry(scaledWidth: 4, scaledHeight: 4, cropX: 0, cropY: 0, side: 4, isFlipped: false)
  #expect(view.render(mask, above: 4).count { $0 } == 8)
  #expect(view.render(mask, above: 5).count { $0 } == 0 && view.render(mask).count { $0 } == 0)
}
