import Failures
import Foundation
import Images

/// What CUB-200-2011's text files tell of the images, by image id.
struct Annotations {
  let images: TextTable
  /// In the order of `classes.txt`; the wanted ones alone.
  let classes: [ImageClass]
  private let labels: [Int: Int]
  private let isTraining: [Int: Bool]
  /// Empty where validation images are to be drawn.
  private let isValidation: [Int: Bool]
  private let boxes: [Int: Box]
  private let labelFile: String
  private let splitFile: String
  /// A class's place among the wanted ones.
  private let labelOfClass: [Int: Int]

  /// - Parameters:
  ///   - root: the data set's folder.
  ///   - wanted: ids or names of classes; nil for all.
  /// - Throws: `Failure` 66 for a missing file, 65 for a wrong one, naming file and line; 78 for a class that isn't there.
  init(root: String, classes wanted: [String]?) throws {
    func table(_ name: String) throws -> TextTable { try TextTable(path: "\(root)/\(name)") }
    let classTable = try table("classes.txt")
    classes = try Self.choose(
      wanted, from: classTable.lines.map { ImageClass(id: $0.id, name: $0.rest) }, place: classTable.path)
    labelOfClass = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1.id, $0) })

    images = try table("images.txt")
    guard !images.lines.isEmpty else { throw Failure.badData("\(images.path): names no image") }
    let known = Set(classTable.lines.map(\.id))
    let labelTable = try table("image_class_labels.txt")
    labelFile = labelTable.path
    labels = try labelTable.values { line in
      guard let id = Int(line.rest) else { throw labelTable.wrong(line, "a class id") }
      guard known.contains(id) else { throw labelTable.wrong(line, "a class of \(classTable.path)") }
      return id
    }
    let splitTable = try table("train_test_split.txt")
    splitFile = splitTable.path
    isTraining = try splitTable.values { line in
      guard line.rest == "0" || line.rest == "1" else { throw splitTable.wrong(line, "0 (test) or 1 (train)") }
      return line.rest == "1"
    }
    func optional(_ name: String) throws -> TextTable? {
      FileManager.default.fileExists(atPath: "\(root)/\(name)") ? try table(name) : nil
    }
    let validTable = try optional(Self.validationFile)
    isValidation =
      try validTable?.values { line in
        guard line.rest == "0" || line.rest == "1" else {
          throw validTable?.wrong(line, "0 (validation) or 1 (train)") ?? Failure.badData(Self.validationFile)
        }
        return line.rest == "0"
      } ?? [:]
    boxes = try optional("bounding_boxes.txt").map(Self.boxes) ?? [:]
  }

  /// Which images of the training half validate, where that is not to be drawn; beside CUB-200-2011's own files.
  static let validationFile = "train_valid_split.txt"

  /// The wanted ones of all classes, in their order.
  ///
  /// - Parameter place: who names the classes, for messages.
  /// - Throws: `Failure` 78 for a class that isn't there, 65 where there is none at all.
  static func choose(_ wanted: [String]?, from all: [ImageClass], place: String) throws -> [ImageClass] {
    var classes = all
    if let wanted {
      for name in wanted where !classes.contains(where: { $0.name == name || String($0.id) == name }) {
        throw Failure.badConfiguration("data.classes names \(name), which \(place) does not have")
      }
      classes = classes.filter { wanted.contains($0.name) || wanted.contains(String($0.id)) }
    }
    guard !classes.isEmpty else { throw Failure.badData("\(place): names no class") }
    return classes
  }

  private static func boxes(_ table: TextTable) throws -> [Int: Box] {
    try table.values { line in
      let numbers = line.rest.split(whereSeparator: { $0 == " " || $0 == "\t" }).map { Double($0) }
      guard numbers.count == 4, let x = numbers[0], let y = numbers[1], let w = numbers[2], let h = numbers[3],
        [x, y, w, h].allSatisfy({ $0.isFinite && abs($0) < 1e7 }), w >= 0, h >= 0
      else { throw table.wrong(line, "x y width height in pixels") }
      return Box(x0: x, y0: y, x1: x + w, y1: y + h)
    }
  }

  /// The image of a line of `images.txt`; nil where it is of a class that is not wanted.
  ///
  /// - Throws: `Failure` 65 where another file says nothing of it, or its path leaves the folder.
  func entry(_ line: TextTable.Line) throws -> ImageEntry? {
    guard let classID = labels[line.id] else {
      throw Failure.badData("\(labelFile): has no label for image \(line.id) (\(line.rest))")
    }
    guard let isTraining = isTraining[line.id] else {
      throw Failure.badData("\(splitFile): has no line for image \(line.id) (\(line.rest))")
    }
    guard let label = labelOfClass[classID] else { return nil }
    let parts = line.rest.split(separator: "/", omittingEmptySubsequences: false)
    guard !line.rest.hasPrefix("/"), !parts.contains(where: { $0 == ".." || $0.isEmpty }), !line.rest.contains("\0")
    else { throw images.wrong(line, "a path below images/") }
    return ImageEntry(
      id: line.id, path: line.rest, label: label, isTest: !isTraining,
      isValidation: isTraining && isValidation[line.id] == true, box: boxes[line.id])
  }
}
