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
    let categories = root["categories"] as? [[String: Any]] ?? []
    for category in categories {
      if let id = Self.integer(category["id"]), let name = category["name"] as? String { labels[id] = name }
    }
    var boxes: [ListedBox] = []
    for (index, annotation) in annotations.enumerated() {
      let place = "\(file): annotation \(Self.integer(annotation["id"]) ?? index + 1)"
      let numbers: [Double]
      switch Self.bounds(annotation) {
      case .none: continue
      case .wrong(let words):
        bad.append((place, words))
        continue
      case .box(let found): numbers = found
      }
      guard let id = Self.integer(annotation["image_id"]), let picture = known[id] else {
        let words = Self.integer(annotation["image_id"]).map { "\($0)" } ?? "no number"
        bad.append((place, "its image_id is \(words), which is none of its images'"))
        continue
      }
      // Which of two pictures it is of nothing tells.
      guard !clashing.contains(id) else { continue }
      let category = Self.integer(annotation["category_id"])
      if let category, !categories.isEmpty, labels[category] == nil {
        bad.append((place, "its category_id is \(category), which is none of its categories'"))
        continue
      }
      boxes.append(
        ListedBox(
          name: picture.name, numbers: numbers, form: .cornerAndSize, size: nil, label: category.flatMap { labels[$0] },
          place: place))
    }
    self.init(
      path: path, boxes: boxes, pictures: known.sorted { $0.key < $1.key }.map(\.value), badEntries: bad)
  }

  private enum Bounds {
    /// Keypoints and captions have none.
    case none
    case box([Double])
    case wrong(String)
  }

  /// x, y, width, height: the annotation's `bbox`, or the rectangle around its polygons.
  private static func bounds(_ annotation: [String: Any]) -> Bounds {
    switch annotation["bbox"] {
    case nil, is NSNull: break
    case let list as [Any] where list.isEmpty: break
    case let list as [Any]:
      let numbers = list.compactMap { number($0) }
      return numbers.count == list.count ? .box(numbers) : .wrong("its bbox holds what is no number")
    default: return .wrong("its bbox is no list of four numbers")
    }
    // A mask that is stored as lengths of runs is an object.
    guard let polygons = annotation["segmentation"] as? [Any], !polygons.isEmpty else { return .none }
    let points = polygons.compactMap { polygon -> [Double]? in
      guard let list = polygon as? [Any] else { return nil }
      let numbers = list.compactMap { number($0) }
      return numbers.count == list.count ? numbers : nil
    }
    guard points.count == polygons.count, points.allSatisfy({ $0.count >= 6 && $0.count % 2 == 0 }) else {
      return .wrong("its segmentation is no list of polygons, each x, y, x, y and so on")
    }
    let all = points.flatMap(\.self)
    let across = stride(from: 0, to: all.count, by: 2).map { all[$0] }
    let down = stride(from: 1, to: all.count, by: 2).map { all[$0] }
    guard let left = across.min(), let right = across.max(), let top = down.min(), let bottom = down.max() else {
      return .none
    }
    return .box([left, top, right - left, bottom - top])
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
