import Foundation

/// Which part of a set an image is of.
public enum Part: String, Sendable, CaseIterable {
  case train, valid, test

  private static let names: [(part: Part, names: [String])] = [
    (.train, ["train", "training"]), (.valid, ["val", "valid", "validation", "dev"]), (.test, ["test", "testing"]),
  ]

  /// The part that a folder's name or a column's word stands for, whatever its case.
  init?(name: String) {
    let word = name.trimmingCharacters(in: .whitespaces).lowercased()
    guard let known = Self.names.first(where: { $0.names.contains(word) }) else { return nil }
    self = known.part
  }
}

/// A picture with what its place, or a list, says of it.
struct PlacedImage {
  /// Relative to the folder of images.
  let path: String
  /// As the folder or the list writes it.
  let className: String
  /// nil where nothing says.
  let part: Part?
}

/// Pictures in a folder for each class, or in such folders below `train/`, `val/` and `test/`, as ImageNet has them.
struct ClassFolders {
  /// Between the tree's root and the folder of images; empty where they are the same.
  let prefix: String
  let images: [PlacedImage]
  /// Whether there are folders of parts.
  let hasParts: Bool
  private(set) var findings = Findings()

  /// Folders that hold no images, in sets that other programs have made.
  private static let annotationNames: Set = [
    "annotation", "annotations", "bboxes", "boxes", "bounding_boxes", "labels", "meta", "metadata", "docs", "doc",
    "imagesets", "models", "weights", "checkpoints", "runs", "logs", "scripts", "code", "src",
  ]

  /// Folders of all images.
  private static let imageNames: Set = ["image", "images", "img", "imgs", "jpegimages", "pictures", "photos", "data"]

  /// - Parameters:
  ///   - pictures: relative to the root, without masks.
  ///   - folders: all of the tree, without those of masks.
  init(pictures: [String], folders: [String]) {
    let prefix = Self.prefix(pictures)
    self.prefix = prefix
    let behind = prefix.isEmpty ? 0 : prefix.utf8.count + 1
    func below(_ path: String) -> String? {
      guard !prefix.isEmpty else { return path }
      return path.utf8.starts(with: "\(prefix)/".utf8) ? String(path.utf8.dropFirst(behind)) : nil
    }
    var findings = Findings()
    let own = pictures.compactMap(below)
    for path in pictures where below(path) == nil { findings.note(.noClass, path) }
    hasParts = Self.hasParts(own)
    let classDepth = hasParts ? 2 : 1
    // The only folder, and it is named for what every set has: its pictures are of no class.
    let isFlat =
      !hasParts && Set(own.map { $0.split(separator: "/")[0] }).count == 1
      && own.first.map { Self.imageNames.contains($0.split(separator: "/")[0].lowercased()) } == true
    var images: [PlacedImage] = []
    for path in own {
      let parts = path.split(separator: "/").map(String.init)
      let part = hasParts ? Part(name: parts[0]) : nil
      if hasParts && part == nil {
        findings.note(.noPart, path)
      } else if parts.count <= classDepth || (isFlat && parts.count == classDepth + 1) {
        findings.note(.noClass, path)
      } else {
        images.append(PlacedImage(path: path, className: parts[classDepth - 1], part: part))
      }
    }
    self.images = images
    Self.noteEmpty(folders.compactMap(below), hasParts: hasParts, pictures: own, images: images, &findings)
    self.findings = findings
  }

  /// Down through folders that hold nothing but one other: `dataset/train/…`, `images/CLASS/…`.
  private static func prefix(_ pictures: [String]) -> String {
    var prefix: [String] = []
    var rest = pictures.map { $0.split(separator: "/").map(String.init) }
    while true {
      let inFolders = rest.filter { $0.count > 1 }
      guard let first = inFolders.first?[0], inFolders.allSatisfy({ isSame($0[0], first) }),
        // A folder with pictures of its own is a class, and one of a part's name is that part.
        inFolders.allSatisfy({ $0.count > 2 }), Part(name: first) == nil
      else { break }
      prefix.append(first)
      rest = inFolders.map { Array($0.dropFirst()) }
    }
    return prefix.joined(separator: "/")
  }

  /// Whether the folders of the first level are parts: one of training, most of whose pictures lie in folders, and
  /// either nothing but parts beside it or one more of them. A set of vehicles may have a class `train`.
  private static func hasParts(_ paths: [String]) -> Bool {
    let groups = Dictionary(grouping: paths.map { $0.split(separator: "/") }.filter { $0.count > 1 }) { String($0[0]) }
    let parts = groups.compactMap { name, paths in Part(name: name).map { (part: $0, paths: paths) } }
    let hasClasses = parts.contains { one in
      one.part == .train && 2 * one.paths.count(where: { $0.count > 2 }) > one.paths.count
    }
    return hasClasses && (parts.count == groups.count || parts.count > 1)
  }

  /// Class folders without pictures, and folders of other things.
  private static func noteEmpty(
    _ folders: [String], hasParts: Bool, pictures: [String], images: [PlacedImage], _ findings: inout Findings
  ) {
    let depth = hasParts ? 2 : 1
    let full = Set(
      pictures.map { path in
        Array(path.split(separator: "/").dropLast().prefix(depth).joined(separator: "/").utf8)
      })
    let classes = Set(images.map(\.className))
    for path in folders {
      let parts = path.split(separator: "/").map(String.init)
      guard parts.count == depth, !full.contains(Array(path.utf8)) else { continue }
      if hasParts, Part(name: parts[0]) == nil {
        continue
      } else if !hasParts, annotationNames.contains(parts[0].lowercased()) {
        findings.note(.annotations, path)
      } else if classes.contains(parts[parts.count - 1]) {
        findings.note(.emptyPart, path)
      } else {
        findings.note(.emptyClass, path)
      }
    }
  }
}
