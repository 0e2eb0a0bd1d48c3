import Foundation
import Randomness

/// The set's classes in their order, and its images in that of their ids.
struct ClassOrder {
  /// The data set's ids and names.
  let classes: [(id: Int, name: String)]
  /// Class by class; in each by path.
  let images: [(image: PlacedImage, label: Int)]

  /// Classes whose names are all numbers are in the order of these and have them for ids, so that `data.classes` means
  /// the same by both; others are in the order of their names' bytes, with ids from 1.
  init(_ placed: [PlacedImage], _ findings: inout Findings) {
    // Names that differ in how Unicode writes them are one class, as on the systems that write them so.
    let byName = Dictionary(grouping: placed) { Self.name($0.className) }
    for (name, images) in byName.sorted(by: { precedes($0.key, $1.key) }) {
      Self.noteClash(images, name: name, &findings)
    }
    let numbers = byName.keys.compactMap { name in
      Int(name).flatMap { String($0) == name && (0...Int(Int32.max)).contains($0) ? $0 : nil }
    }
    let isNumbered = numbers.count == byName.count
    let names = isNumbered ? numbers.sorted().map(String.init) : byName.keys.sorted(by: precedes)
    classes = names.enumerated().map { place, name in (isNumbered ? Int(name) ?? place + 1 : place + 1, name) }
    images = names.enumerated().flatMap { label, name in
      (byName[name] ?? []).sorted { precedes($0.path, $1.path) }.map { ($0, label) }
    }
  }

  /// In one part, one folder a class.
  private static func noteClash(_ images: [PlacedImage], name: String, _ findings: inout Findings) {
    for part in [nil] + Part.allCases.map(Optional.some) {
      let spellings = Set(images.filter { $0.part == part }.map { Array($0.className.utf8) })
      guard spellings.count > 1 else { continue }
      findings.note(.classClash, name, "\(spellings.count) spellings")
    }
  }

  private static func name(_ className: String) -> String {
    className.trimmingCharacters(in: .whitespaces).precomposedStringWithCanonicalMapping
  }
}

/// Which part each image is of: what the folder or list says, else half of each class to the tests, as in CUB-200-2011.
struct Parts {
  let parts: [Part]
  /// Whether validation images are given, and need not be drawn.
  let hasValidation: Bool
  /// Whether test images are not given, and are drawn.
  let isDrawn: Bool
  /// In words.
  let note: String

  init(_ order: ClassOrder) {
    let given = order.images.map(\.image.part)
    let (hasTest, hasValid) = (given.contains(.test), given.contains(.valid))
    if given.contains(where: { $0 != nil }), hasTest || hasValid {
      (hasValidation, isDrawn) = (hasTest && hasValid, false)
      // Who has no test set of their own tests on the validation images, as is done with ImageNet.
      parts = given.map { hasTest || $0 != .valid ? $0 ?? .train : .test }
      note =
        hasValidation
        ? "training, validation and test images are those given"
        : "test images are those given\(hasTest ? "" : " as validation"); validation images are drawn of the others"
      return
    }
    (hasValidation, isDrawn) = (false, true)
    let isTest = drawnTests(labels: order.images.map(\.label), classIDs: order.classes.map(\.id))
    parts = isTest.map { $0 ? .test : .train }
    note = "no split is given: half of each class, rounded down, are test images, drawn at random"
  }
}

/// Which images test where nothing says so: half of each class, rounded down. Images that are left out are none of them,
/// so that what is left is halved.
///
/// - Parameters:
///   - labels: of the images in the order of their ids, from 0.
///   - classIDs: the data set's own, by label.
public func drawnTests(labels: [Int], classIDs: [Int]) -> [Bool] {
  var isTest = [Bool](repeating: false, count: labels.count)
  var places = [[Int]](repeating: [], count: classIDs.count)
  for (place, label) in labels.enumerated() { places[label].append(place) }
  for (own, id) in zip(places, classIDs) {
    var stream = RandomStream(seed: 0, name: "import.test", index: UInt64(id))
    for drawn in stream.permutation(own.count).prefix(own.count / 2) { isTest[own[drawn]] = true }
  }
  return isTest
}
