import Failures
import Files
import Foundation

/// The boxes of COCO's JSON.
extension BoxFile {
  static let mostJSONBytes = 1 << 30

  private static func json(_ path: String) throws -> Any {
    let data = Data(try readFile(path, most: mostJSONBytes))
    do {
      return try JSONSerialization.jsonObject(with: data)
    } catch {
      throw Failure.badData("\(path): is not sound JSON: \(JSONFault(error, in: data).words)")
    }
  }

  /// - Throws: `Failure` 65 where it is no such JSON.
  init(coco path: String) throws { try self.init(try Self.json(path), path: path) }

  /// - Returns: nil where the first level of a sound JSON has no images and annotations.
  /// - Throws: `Failure` 65 where it is no JSON, or has them in another form.
  init?(ifCOCO path: String) throws {
    let found = try Self.json(path)
    guard let root = found as? [String: Any], root["images"] != nil, root["annotations"] != nil else { return nil }
    try self.init(found, path: path)
  }

  private init(_ root: Any, path: String) throws {
    guard let root = root as? [String: Any], let images = root["images"] as? [[String: Any]],
      let annotations = root["annotations"] as? [[String: Any]]
    else {
      throw Failure.badData("\(path): has no lists of images and annotations; expected COCO's images and annotations")
    }
    let file = lastPart(of: path)
    var bad: [(place: String, words: String)] = []
    var known: [Int: Picture] = [:]
    var clashing: Set<Int> = []
    for (index, image) in images.enumerated() {
      let place = "\(file): image \(index + 1)"
      guard let id = Self.integer(image["id"]), let name = image["file_name"] as? String else {
        bad.append((place, "has no id and file_name"))
        continue
      }
      guard known[id] == nil else {
        clashing.insert(id)
        bad.append((place, "\(name) has the id \(id), as another one has"))
        continue
      }
      let (width, height) = (Self.number(image["width"]), Self.number(image["height"]))
      let size = width.flatMap { width in height.map { (width, $0) } }
      known[id] = Picture(name: name, size: size, place: "\(place) \(name)")
    }
    var labels: [Int: String] = [:]
    for category in root["categories"] as? [[String: Any]] ?? [] {
      if let id = Self.integer(category["id"]), let name = category["name"] as? String { labels[id] = name }
    }
    var boxes: [ListedBox] = []
    for (index, annotation) in annotations.enumerated() {
      // Keypoints and captions have none.
      guard let numbers = annotation["bbox"] as? [Any] else { continue }
      let place = "\(file): annotation \(Self.integer(annotation["id"]) ?? index + 1)"
      guard let id = Self.integer(annotation["image_id"]), let picture = known[id] else {
        let words = Self.integer(annotation["image_id"]).map { "\($0)" } ?? "no number"
        bad.append((place, "its image_id is \(words), which is none of its images'"))
        continue
      }
      // Which of two pictures it is of nothing tells.
      guard !clashing.contains(id) else { continue }
      boxes.append(
        ListedBox(
          name: picture.name, numbers: numbers.map { Self.number($0) ?? .nan }, form: .cornerAndSize, size: nil,
          label: Self.integer(annotation["category_id"]).flatMap { labels[$0] }, place: place))
    }
    self.init(
      path: path, boxes: boxes, pictures: known.sorted { $0.key < $1.key }.map(\.value), badEntries: bad)
  }

  private static func number(_ value: Any?) -> Double? { (value as? NSNumber)?.doubleValue }

  private static func integer(_ value: Any?) -> Int? {
    (value as? NSNumber).flatMap { Int(exactly: $0.doubleValue) }
  }
}

/// Where a JSON is broken.
private struct JSONFault {
  let words: String

  init(_ error: Error, in data: Data) {
    let own = (error as NSError).userInfo["NSDebugDescription"] as? String ?? ""
    let place = own.firstMatch(of: /character (\d+)/).flatMap { Int($0.1) }
    let newlines = data.prefix(place ?? data.count).count { $0 == UInt8(ascii: "\n") }
    words = "line \(newlines + 1)" + (place.map { ", around byte \($0) of the file" } ?? ", where it ends too early")
  }
}
