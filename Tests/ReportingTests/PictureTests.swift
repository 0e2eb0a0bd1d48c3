import Foundation
import Images
import Reporting
import Testing

/// OKLab of an sRGB colour, written here anew.
private func okLab(_ levels: SIMD3<Float>) -> SIMD3<Double> {
  let c = (0..<3).map { channel -> Double in
    let v = Double(levels[channel]) / 255
    return v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4)
  }
  let l = cbrt(0.4122214708 * c[0] + 0.5363325363 * c[1] + 0.0514459929 * c[2])
  let m = cbrt(0.2119034982 * c[0] + 0.6806995451 * c[1] + 0.1073969566 * c[2])
  let s = cbrt(0.0883024619 * c[0] + 0.2817188376 * c[1] + 0.6299787005 * c[2])
  return SIMD3(
    0.2104542553 * l + 0.7936177850 * m - 0.0040720468 * s, 1.9779984951 * l - 2.4285922050 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.8086757660 * s)
}

@Test func aMapWhoseRangeIsBeyondANumberIsGreyWhereNothingCanBeSaid() {
  let image = RGBImage(width: 2, height: 2, pixels: [UInt8](repeating: 100, count: 12))
  let picture = overlay(image, map: [-3e38, 3e38, 3e38, -3e38], side: 2, mask: nil)
  #expect(picture.pixels[3..<9].allSatisfy { (59...60).contains($0) })
}

@Test func equalStepsOfAMapAreEqualStepsToTheEyeAndEverBrighter() {
  let colours = (0...51).map { okLab(heatColour(Float($0) / 51)) }
  let steps = zip(colours, colours.dropFirst()).map { one, next in
    let d = next - one
    return (d * d).sum().squareRoot()
  }
  let mean = steps.reduce(0, +) / Double(steps.count)
  #expect(steps.allSatisfy { abs($0 - mean) < 0.15 * mean }, "\(steps.map { $0 / mean })")
  #expect(zip(colours, colours.dropFirst()).allSatisfy { $1.x > $0.x })
  #expect(heatColour(.nan) == heatColour(0) && heatColour(7) == heatColour(1))
}

/// A disc of radius 6 about (10, 10): every crossing lies on its circle, and the line is closed.
@Test func theContourRunsAlongTheLevelAndCloses() {
  let map = (0..<400).map { index -> Float? in
    Float(hypot(Double(index % 20) + 0.5 - 10, Double(index / 20) + 0.5 - 10)) * -1
  }
  let segments = contour(map, width: 20, height: 20, level: -6)
  #expect(segments.count > 20)
  var ends: [String: Int] = [:]
  for (from, to) in segments {
    for point in [from, to] {
      #expect(abs(hypot(point.x - 10, point.y - 10) - 6) < 0.1)
      ends[String(format: "%.5f %.5f", point.x, point.y), default: 0] += 1
    }
  }
  #expect(ends.values.allSatisfy { $0 == 2 })
  #expect(contour(map.map { _ in nil }, width: 20, height: 20, level: -6).isEmpty)
}

@Test func aFigureShowsWhatTheModelSawAndGreysTheRest() throws {
  let image = RGBImage(width: 40, height: 30, pixels: [UInt8](repeating: 200, count: 3600))
  // The view is the image's left part, 30 x 30, and the map has a value for each of its columns.
  let view = ViewGeometry(scaledWidth: 40, scaledHeight: 30, cropX: 0, cropY: 0, side: 30, isFlipped: false)
  let values = (0..<900).map { Float($0 % 30) }
  let map = PlacedMap(values, side: 30, geometry: view, width: 40, height: 30)
  #expect(map.values(7..<8) == (0..<40).map { $0 < 30 ? Float($0) : nil })
  let figure = ExplanationFigure(
    image: image, map: map, threshold: 15, title: "a & <b>", classes: [(name: "Cardinal", probability: 0.9)])
  let folder = NSTemporaryDirectory() + "ala-test-\(getpid())-figure"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try figure.writeGreyMap(to: "\(folder)/map.png")
  let grey = try decodeImage(path: "\(folder)/map.png")
  #expect(grey.width == 40 && grey.pixels[29 * 3] == 255 && grey.pixels[0] == 0 && grey.pixels[35 * 3] == 0)
  try figure.writeOverlay(to: "\(folder)/overlay.png")
  let overlaid = try decodeImage(path: "\(folder)/overlay.png")
  let outside = overlaid.pixels[(35 * 3)..<(36 * 3)]
  #expect(Set(outside).count == 1 && overlaid.height == 30 && overlaid.width > 40)
  #expect(try figure.picture().width > 900)
}

/// cairo's pictures have 32,767 pixels a side at most; the parts that a wider one is drawn in show nowhere.
@Test func anOverlayIsDrawnAsWideAsItsImageWithoutASeam() throws {
  let (width, height) = (40_000, 6)
  let image = RGBImage(
    width: width, height: height, pixels: (0..<(3 * width * height)).map { UInt8(truncatingIfNeeded: $0 / 7) })
  let view = ViewGeometry(
    scaledWidth: width, scaledHeight: height, cropX: 0, cropY: 0, side: width, isFlipped: false)
  let folder = NSTemporaryDirectory() + "ala-test-\(getpid())-wide"
  try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(atPath: folder) }

  // No line: what cairo gives is what was laid over the image.
  let across = PlacedMap((0..<16).map { Float($0 % 4) }, side: 4, geometry: view, width: width, height: height)
  try ExplanationFigure(image: image, map: across, threshold: 9, title: "", classes: [])
    .writeOverlay(to: "\(folder)/plain.png")
  let plain = try decodeImage(path: "\(folder)/plain.png")
  let expected = overlay(image, map: across.values(0..<height).map { $0.map { $0 / 3 } })
  #expect(plain.width > width && plain.height == height)
  for y in 0..<height {
    let row = plain.pixels[(y * plain.width * 3)...].prefix(width * 3)
    #expect(row.elementsEqual(expected.pixels[(y * width * 3)..<((y + 1) * width * 3)]), "row \(y)")
  }

  // A level line through all parts.
  let grey = RGBImage(width: width, height: height, pixels: [UInt8](repeating: 90, count: 3 * width * height))
  let square = ViewGeometry(
    scaledWidth: width, scaledHeight: width, cropX: 0, cropY: 0, side: width, isFlipped: false)
  let down = PlacedMap((0..<16).map { Float($0 / 4) }, side: 4, geometry: square, width: width, height: height)
  try ExplanationFigure(image: grey, map: down, threshold: 1.5, title: "", classes: [])
    .writeOverlay(to: "\(folder)/line.png")
  let line = try decodeImage(path: "\(folder)/line.png")
  for y in 0..<height {
    let row = line.pixels[(y * line.width * 3)...].prefix((width - 8) * 3).dropFirst(8 * 3)
    #expect(Set(stride(from: row.startIndex, to: row.endIndex, by: 3).map { row[$0] }).count == 1, "row \(y)")
  }
}

@Test func aDrawingThatIsGoneHasLeftNothingBehind() throws {
  func draw() throws {
    let canvas = try Canvas(width: 100, height: 100)
    for step in 0..<2000 { canvas.dot(Point(Double(step % 100), 50), radius: 1, fill: .black) }
    #expect(try !canvas.svg().isEmpty && !canvas.pixels().pixels.isEmpty)
  }
  // In MiB.
  func memory() throws -> Int {
    let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
    return (line.split(separator: " ").compactMap { Int($0) }.first ?? 0) / 1024
  }
  for _ in 0..<5 { try draw() }
  let before = try memory()
  for _ in 0..<60 { try draw() }
  #expect(try memory() < before + 16)
}

@Test func aCharacterThatNoFontHasIsNamedOnce() throws {
  // Of Unicode's last plane for private use; and what draws another character's variant is none to miss.
  let missing = try Canvas.charactersWithoutSign(in: ["plain", "a\u{10FFFD}", "\u{10FFFD}é\u{FE0F}\u{200D}"])
  #expect(missing == ["\u{10FFFD}"])
}
