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

  /// The part that a list's name tells: `instances_val2017.json`.
  init?(ofListAt path: String) {
    let words = lastPart(of: path).split { !$0.isLetter }
    guard let part = words.lazy.compactMap({ Part(name: String($0)) }).first else { return nil }
    self = part
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

/// Pictures in a folder for each class: at the first level, or below `train/`, `val/` and `test/`, as ImageNet has them,
/// or above these.
struct ClassFolders {
  /// Between the tree's root and the folder of images; empty where they are the same.
  let prefix: String
  private(set) var images: [PlacedImage]
  /// Where the folders of parts are.
  let parts: Place
  /// Pictures that lie in the folder of a part and in none of a class, relative to the folder of images.
  private(set) var unlabelled: [(path: String, part: Part)] = []
  private(set) var findings = Findings()

  enum Place {
    case none
    case aboveClasses
    case belowClasses
  }

  /// Folders that hold no images, in sets that other programs have made.
  private static let annotationNames: Set = [
    "annotation", "annotations", "bboxes", "boxes", "bounding_boxes", "labels", "meta", "metadata", "docs", "doc",
    "imagesets", "models", "weights", "checkpoints", "runs", "logs", "scripts", "code", "src",
  ]

  /// Of folders that hold all images, whatever their class.
  private static let imageNames: Set = ["image", "images", "img", "imgs", "jpegimages", "pictures", "photos", "data"]

  static func isNamedForImages(_ folder: some StringProtocol) -> Bool { imageNames.contains(folder.lowercased()) }

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
    parts = Self.hasParts(own) ? .aboveClasses : Self.hasPartsInClasses(own) ? .belowClasses : .none
    let hasParts = parts == .aboveClasses
    let depth = Self.classDepth(own, hasParts: hasParts)
    let inTraining = Set(
      own.map { $0.split(separator: "/") }.filter { $0.count > depth && Part(name: String($0[0])) == .train }
        .map { $0[depth - 1] })
    var images: [PlacedImage] = []
    for path in own {
      let folders = path.split(separator: "/").map(String.init)
      let part =
        switch parts {
        case .none: nil as Part?
        case .aboveClasses: Part(name: folders[0])
        case .belowClasses: Part(name: folders[1])
        }
      if parts != .none && part == nil {
        findings.note(.noPart, path)
      } else if let part, hasParts,
        folders.count <= depth
          || (Self.isNamedForImages(folders[depth - 1]) && !inTraining.contains(Substring(folders[depth - 1])))
      {
        unlabelled.append((path, part))
      } else if folders.count <= depth {
        findings.note(.noClass, path)
      } else {
        images.append(PlacedImage(path: path, className: folders[depth - 1], part: part))
      }
    }
    self.images = images
    Self.noteEmpty(
      folders.compactMap(below), depth: depth, hasParts: hasParts, pictures: own, images: images, &findings)
    self.findings = findings
  }

  /// Takes pictures without a class folder where a list tells their class: the folder's name, or, as in Caffe's lists, its
  /// place among these from 0. The others are left.
  mutating func take(_ labels: PartLabels) {
    let known = Set(images.map(\.className))
    let names = known.sorted(by: precedes)
    for (path, part) in unlabelled {
      guard let label = labels.label(of: path, in: part) else {
        findings.note(.noClass, path)
        continue
      }
      let place = Int(label).flatMap { names.indices.contains($0) ? $0 : nil }
      if let name = known.contains(label) ? label : place.map({ names[$0] }) {
        images.append(PlacedImage(path: path, className: name, part: part))
      } else {
        findings.note(.unknownClass, path, label)
      }
    }
    unlabelled = []
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

  /// Whether the folders of the first level are parts, most of whose pictures lie in folders: nothing but parts, even one
  /// alone, or one of training and another beside what else lies there. A set of vehicles may have a class `train`.
  private static func hasParts(_ paths: [String]) -> Bool {
    let groups = Dictionary(grouping: paths.map { $0.split(separator: "/") }.filter { $0.count > 1 }) { String($0[0]) }
    let parts = groups.compactMap { name, paths in Part(name: name).map { (part: $0, paths: paths) } }
    let withClasses = parts.filter { one in 2 * one.paths.count(where: { $0.count > 2 }) > one.paths.count }.map(\.part)
    if parts.count == groups.count, !parts.contains(where: { $0.part == .train }) { return !withClasses.isEmpty }
    return withClasses.contains(.train) && (parts.count == groups.count || parts.count > 1)
  }

  /// Whether all pictures lie in folders of parts, which lie in class folders: `CLASS/train/x.jpg`.
  private static func hasPartsInClasses(_ paths: [String]) -> Bool {
    let parts = paths.map { path -> Part? in
      let folders = path.split(separator: "/")
      return folders.count > 2 ? Part(name: String(folders[1])) : nil
    }
    return parts.contains(.train) && (parts.contains(.valid) || parts.contains(.test)) && !parts.contains(nil)
  }

  /// How many folders deep the classes are, that folder included: one more where all pictures lie in a folder that is
  /// named for what every set has, as in `train/images/CLASS/`; without folders below, its pictures are of no class.
  private static func classDepth(_ paths: [String], hasParts: Bool) -> Int {
    let depth = hasParts ? 2 : 1
    let folders = paths.map { $0.split(separator: "/").dropLast() }.filter { $0.count >= depth }
    let names = Set(folders.map { $0[depth - 1].lowercased() })
    return names.count == 1 && names.allSatisfy(isNamedForImages) ? depth + 1 : depth
  }

  /// Class folders without pictures, and folders of other things.
  private static func noteEmpty(
    _ folders: [String], depth: Int, hasParts: Bool, pictures: [String], images: [PlacedImage],
    _ findings: inout Findings
  ) {
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
      } else if classes.contains(parts[depth - 1]) {
        findings.note(.emptyPart, path)
      } else if annotationNames.contains(parts[depth - 1].lowercased()) {
        findings.note(.annotations, path)
      } else {
        findings.note(.emptyClass, path)
      }
    }
  }
}
