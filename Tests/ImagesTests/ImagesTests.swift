import Failures
import Foundation
import Images
import TestSupport
import Testing

private struct Case: Codable, Sendable, CustomTestStringConvertible {
  let file: String
  let width: Int
  let height: Int
  let rgb: String
  var testDescription: String { rgb }
}

private let cases: [Case] = {
  let data = FileManager.default.contents(atPath: Fixture.path("index.json")) ?? Data()
  return (try? JSONDecoder().decode([Case].self, from: data)) ?? []
}()

/// Fixtures by `scripts/fixtures/pixels.py`.
@Test(arguments: cases) private func decodedAndResizedPixelsAgreeWithPillow(c: Case) throws {
  let image = try decodeImage(path: Fixture.path(c.file))
  let resized = resizeBicubic(image, width: c.width, height: c.height)
  let expected = [UInt8](FileManager.default.contents(atPath: Fixture.path(c.rgb)) ?? Data())
  #expect(resized.pixels.count == expected.count)
  expectPillows(resized.pixels, expected, "decoded and resized, every kind of file")
}

private func expectPillows(_ found: [UInt8], _ expected: [UInt8], _ quantity: String) {
  let differences = zip(found, expected).map { abs(Int($0) - Int($1)) }
  let unequal = Double(differences.count { $0 != 0 }) / Double(differences.count)
  noteDifference(
    "pixels: \(quantity)", reference: "Pillow", unit: "levels of 255", Double(differences.max() ?? 255), limit: 1)
  noteDifference("pixels: \(quantity)", reference: "Pillow", unit: "share of unequal bytes", unequal, limit: 0.001)
  #expect(differences.max() ?? 255 <= 1)
  #expect(unequal <= 0.001)
}

/// 240 photographs of CUB-200-2011, 256 bytes of each at places that the script has chosen.
@Test(.enabled(if: optionalData != nil, "the photographs are not there"))
func photographsAgreeWithPillowDecodedAsViewsAndResized() throws {
  let fixture = try Fixture("photographs.safetensors")
  let ids = try fixture.doubles("image_id").map { Int($0) }
  let root = "\(optionalData ?? "")/cub-10"
  let lines = try String(contentsOfFile: "\(root)/images.txt", encoding: .utf8).split(separator: "\n")
  let paths = Dictionary(
    uniqueKeysWithValues: lines.map { line in
      let words = line.split(separator: " ")
      return (Int(words[0]) ?? 0, String(words[1]))
    })
  let definition = ViewDefinition(side: 224, augmentation: .none)
  var found: [String: [UInt8]] = [:]
  for id in ids {
    let image = try decodeImage(path: "\(root)/images/\(try #require(paths[id]))")
    let (w, h) = (image.width, image.height)
    let view = definition.geometry(width: w, height: h, seed: 0, imageID: id, view: ViewDefinition.evaluationView)
    let resized = resizeBicubic(image, width: w <= h ? 256 : w * 256 / h, height: w <= h ? h * 256 / w : 256)
    for (kind, pixels) in [("decoded", image.pixels), ("view", view.render(image)), ("resized", resized.pixels)] {
      found[kind, default: []] += (0..<256).map { pixels[($0 * 7919 * 31) % pixels.count] }
    }
  }
  #expect(ids.count >= 200)
  for (kind, name) in [
    ("decoded", "240 photographs, decoded"), ("view", "240 photographs, evaluation view"),
    ("resized", "240 photographs, shorter side 256"),
  ] {
    expectPillows(found[kind] ?? [], try fixture.bytes(kind), name)
  }
}

@Test func thereAreCasesOfEveryKind() { #expect(cases.count > 20) }

/// Reference values, printed by Pillow.
@Test(arguments: [
  (4, [4, 66, 181, 130]), (3, [11, 130, 149]), (12, [0, 3, 14, 34, 63, 100, 147, 223, 227, 48, 107, 211]),
]) func aRowIsResizedAsPillowDoes(width: Int, expected: [Int]) {
  let row: [UInt8] = [0, 10, 40, 90, 160, 250, 30, 200]
  let image = RGBImage(width: 8, height: 1, pixels: row.flatMap { [$0, $0, $0] })
  let resized = resizeBicubic(image, width: width, height: 1)
  #expect((0..<width).map { Int(resized.pixels[3 * $0]) } == expected)
}

@Test func aPartOfAResizedImageIsThatPartOfTheWhole() throws {
  let image = try decodeImage(path: Fixture.path("444.jpg"))
  let whole = resizeBicubic(image, width: 40, height: 30)
  let part = resizeBicubic(image, width: 40, height: 30, columns: 7..<29, rows: 3..<21)
  for y in 0..<18 {
    for x in 0..<66 { #expect(part.pixels[y * 66 + x] == whole.pixels[((y + 3) * 40 + 7) * 3 + x]) }
  }
}

@Test(arguments: ["444.jpg", "progressive.jpg", "rgb.png", "palette.png"])
func aTruncatedOrDamagedImageIsNamedAndRefused(name: String) throws {
  let folder = try TemporaryFolder()
  let bytes = FileManager.default.contents(atPath: Fixture.path(name)) ?? Data()
  for share in [0, 1, 20, bytes.count / 2, bytes.count - 30] {
    let path = "\(folder.path)/\(share)-\(name)"
    try bytes.prefix(share).write(to: URL(fileURLWithPath: path))
    let failure = #expect(throws: Failure.self) { try decodeImage(path: path) }
    #expect(failure?.code == .badData && failure?.message.contains(path) == true)
    #expect(throws: Failure.self) { try ImageLook(path: path) }
  }
  #expect(throws: Failure.self) { try decodeImage(path: "\(folder.path)/absent") }
}

@Test func aViewIsAPureFunctionOfSeedImageAndView() {
  let definition = ViewDefinition(side: 32, augmentation: .randomCrop(resize: 40, flip: 0.5))
  func geometry(_ seed: UInt64, _ id: Int, _ view: Int) -> ViewGeometry {
    definition.geometry(width: 60, height: 50, seed: seed, imageID: id, view: view)
  }
  #expect(geometry(1, 2, 3) == geometry(1, 2, 3))
  let all = (0..<200).map { geometry(1, 2, $0) }
  #expect(Set(all.map { "\($0)" }).count > 100)
  #expect(all.allSatisfy { $0.cropX >= 0 && $0.cropX + 32 <= 48 && $0.cropY + 32 <= 40 })
  #expect((60...140).contains(all.count { $0.isFlipped }))
  let evaluation = definition.geometry(width: 60, height: 50, seed: 9, imageID: 2, view: -1)
  #expect((evaluation.scaledWidth, evaluation.scaledHeight, evaluation.isFlipped) == (38, 32, false))
}

/// torchvision rounds the half of an odd difference to even: 337 → 56, 339 → 58.
@Test(arguments: [(337, 56), (339, 58), (336, 56)]) func centreCropsRoundHalfToEven(width: Int, expected: Int) {
  let view = ViewDefinition(side: 224, augmentation: .none).geometry(
    width: width, height: 224, seed: 0, imageID: 1, view: -1)
  #expect(view.cropX == expected)
}

@Test func boxesAndMasksTakeTheViewsWay() {
  let geometry = ViewGeometry(scaledWidth: 20, scaledHeight: 10, cropX: 5, cropY: 0, side: 10, isFlipped: true)
  let box = geometry.transform(Box(x0: 20, y0: 4, x1: 26, y1: 12), width: 40, height: 20)
  #expect(box == Box(x0: 2, y0: 2, x1: 5, y1: 6))
  var mask = GrayImage(width: 40, height: 20, pixels: [UInt8](repeating: 0, count: 800))
  for y in 4..<12 { for x in 20..<26 { mask.pixels[y * 40 + x] = 128 } }
  let view = geometry.render(mask)
  let inside = (0..<100).filter { view[$0] }
  #expect(inside.allSatisfy { (2..<5).contains($0 % 10) && (2..<6).contains($0 / 10) } && inside.count == 12)
  #expect(geometry.transform(Box(x0: 0, y0: 0, x1: 3, y1: 3), width: 40, height: 20) == nil)
}
