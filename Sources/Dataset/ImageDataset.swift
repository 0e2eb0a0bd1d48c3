import Digests
import Failures
import Foundation
import Images

/// A labelled image set in CUB-200-2011's folder layout (interfaces.md 4).

/// One class: its number in the data set, its name, and its place from 0 in `classes.txt`.
public struct ImageClass: Equatable, Sendable {
  public let id: Int
  public let name: String
}

/// One image.
public struct ImageEntry: Equatable, Sendable {
  public let id: Int
  /// Relative to `images/`.
  public let path: String
  /// From 0, in the order of `classes.txt`.
  public let label: Int
  public let isTest: Bool
  /// x0, y0, x1, y1 in the stored image's pixels; nil where none is annotated.
  public let box: Box?
}

public struct ImageDataset: Sendable {
  public let root: String
  public let classes: [ImageClass]
  /// In the order of `images.txt`.
  public let images: [ImageEntry]
  /// Images left out because they cannot be read (`data.skip_unreadable`), with the reason.
  public let unreadable: [(id: Int, reason: String)]
  /// SHA-256 over ids, paths and sizes in bytes.
  public let digest: String
  private let segmentationRoot: String?
  private let indexByID: [Int: Int]

  /// Reads the text files and takes a cheap look at every image.
  ///
  /// - Parameters:
  ///   - classes: the ids or names of the classes to keep; nil keeps all.
  ///   - segmentations: the folder of masks; nil looks for `segmentations/` beside the images.
  ///   - usesSegmentations: false leaves masks out altogether.
  ///   - skipUnreadable: leaves unreadable images out instead of refusing the set.
  ///   - checksImages: false reads the text files alone.
  /// - Throws: `Failure` 66 for a missing file, 65 for a wrong one, naming file and line.
  public init(
    root: String, classes wanted: [String]? = nil, segmentations: String? = nil, usesSegmentations: Bool = true,
    skipUnreadable: Bool = false, checksImages: Bool = true
  ) throws {
    self.root = root
    func table(_ name: String) throws -> TextTable { try TextTable(path: "\(root)/\(name)") }
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: root, isDirectory: &isFolder), isFolder.boolValue else {
      throw Failure.missingInput("\(root): there is no such folder (data.root)")
    }

    let classTable = try table("classes.txt")
    var classes = classTable.lines.map { ImageClass(id: $0.id, name: $0.rest) }
    if let wanted {
      for name in wanted where !classes.contains(where: { $0.name == name || String($0.id) == name }) {
        throw Failure.badConfiguration("data.classes names \(name), which \(classTable.path) does not have")
      }
      classes = classes.filter { wanted.contains($0.name) || wanted.contains(String($0.id)) }
    }
    guard !classes.isEmpty else { throw Failure.badData("\(classTable.path): names no class") }
    self.classes = classes
    let known = Set(classTable.lines.map(\.id))
    let labelOfClass = Dictionary(uniqueKeysWithValues: classes.enumerated().map { ($1.id, $0) })

    let imageTable = try table("images.txt")
    guard !imageTable.lines.isEmpty else { throw Failure.badData("\(imageTable.path): names no image") }
    let labelTable = try table("image_class_labels.txt")
    let labels = try Self.values(labelTable) { line in
      guard let id = Int(line.rest) else { throw labelTable.wrong(line, "a class id") }
      guard known.contains(id) else { throw labelTable.wrong(line, "a class of \(classTable.path)") }
      return id
    }
    let splitTable = try table("train_test_split.txt")
    let isTraining = try Self.values(splitTable) { line in
      guard line.rest == "0" || line.rest == "1" else { throw splitTable.wrong(line, "0 (test) or 1 (train)") }
      return line.rest == "1"
    }
    var boxes: [Int: Box] = [:]
    if FileManager.default.fileExists(atPath: "\(root)/bounding_boxes.txt") {
      let boxTable = try table("bounding_boxes.txt")
      boxes = try Self.values(boxTable) { line in
        let numbers = line.rest.split(whereSeparator: { $0 == " " || $0 == "\t" }).map { Double($0) }
        guard numbers.count == 4, let x = numbers[0], let y = numbers[1], let w = numbers[2], let h = numbers[3],
          [x, y, w, h].allSatisfy({ $0.isFinite && abs($0) < 1e7 }), w >= 0, h >= 0
        else { throw boxTable.wrong(line, "x y width height in pixels") }
        return Box(x0: x, y0: y, x1: x + w, y1: y + h)
      }
    }

    let real = URL(fileURLWithPath: "\(root)/images").resolvingSymlinksInPath().path
    var images: [ImageEntry] = []
    var unreadable: [(id: Int, reason: String)] = []
    let hash = SHA256()
    for line in imageTable.lines {
      guard let classID = labels[line.id] else {
        throw Failure.badData("\(labelTable.path): has no label for image \(line.id) (\(line.rest))")
      }
      guard let training = isTraining[line.id] else {
        throw Failure.badData("\(splitTable.path): has no line for image \(line.id) (\(line.rest))")
      }
      guard let label = labelOfClass[classID] else { continue }
      let parts = line.rest.split(separator: "/", omittingEmptySubsequences: false)
      guard !line.rest.hasPrefix("/"), !parts.contains(where: { $0 == ".." || $0.isEmpty }), !line.rest.contains("\0")
      else { throw imageTable.wrong(line, "a path below images/") }
      let path = "\(root)/images/\(line.rest)"
      var size = 0
      if checksImages {
        do {
          let target = URL(fileURLWithPath: path).resolvingSymlinksInPath().path
          guard target == real || target.hasPrefix(real + "/") else {
            throw imageTable.wrong(line, "a path that stays below images/ (it is a link to \(target))")
          }
          var status = stat()
          if stat(path, &status) == 0 { size = Int(status.st_size) }
          try checkImageEnds(path: path)
          // Only a whole decoding finds all that is unreadable, and every later run must leave out the same.
          if skipUnreadable { _ = try decodeImage(path: path) }
        } catch let failure as Failure {
          guard skipUnreadable, failure.code == .badData || failure.code == .missingInput,
            FileManager.default.fileExists(atPath: path)
          else { throw failure }
          unreadable.append((line.id, failure.message))
          continue
        }
      }
      hash.update("\(line.id)\t\(line.rest)\t\(size)\n")
      images.append(
        ImageEntry(id: line.id, path: line.rest, label: label, isTest: !training, box: boxes[line.id]))
    }
    guard !images.isEmpty else { throw Failure.badData("\(imageTable.path): names no image that can be used") }
    self.images = images
    self.unreadable = unreadable
    digest = hash.finish()
    indexByID = Dictionary(uniqueKeysWithValues: images.enumerated().map { ($1.id, $0) })
    if !usesSegmentations {
      segmentationRoot = nil
    } else if let segmentations {
      guard FileManager.default.fileExists(atPath: segmentations) else {
        throw Failure.missingInput("\(segmentations): there is no such folder (data.segmentations)")
      }
      segmentationRoot = segmentations
    } else {
      let beside = "\(root)/segmentations"
      segmentationRoot = FileManager.default.fileExists(atPath: beside) ? beside : nil
    }
  }

  private static func values<Value>(
    _ table: TextTable, _ read: (TextTable.Line) throws -> Value
  ) throws -> [Int: Value] {
    var result: [Int: Value] = [:]
    for line in table.lines { result[line.id] = try read(line) }
    return result
  }

  /// An image by its id.
  public func image(_ id: Int) -> ImageEntry? { indexByID[id].map { images[$0] } }

  /// Where an image's file is.
  public func path(of image: ImageEntry) -> String { "\(root)/images/\(image.path)" }

  /// Where its mask is, if it has one: the same relative path, `.png`.
  public func maskPath(of image: ImageEntry) -> String? {
    guard let segmentationRoot else { return nil }
    let path = "\(segmentationRoot)/\((image.path as NSString).deletingPathExtension).png"
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }
}
