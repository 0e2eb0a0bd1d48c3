import Foundation
import Images

/// Which pictures are masks, and of which others: beside them (`x.png` or `x_mask.png` of `x.jpg`), in a folder of masks
/// anywhere in the tree, or in a folder that is named.
struct MaskPairs {
  /// Pictures that are no masks, relative to the root.
  private(set) var images: [String]
  /// Masks in folders of masks: the path, and that of the picture whose mask it seems to be, without ending.
  private var inFolders: [(mask: String, stem: String)] = []
  /// Masks beside their pictures, by the same.
  private var beside: [(mask: String, stem: String)] = []
  /// Pictures that are called as the set's masks are and do not look like masks, relative to the root.
  private(set) var unlike: [String] = []

  /// Between the folder that is given and the root, for messages.
  private let above: String

  private static let folderNames: Set = [
    "mask", "masks", "segmentation", "segmentations", "segmentationclass", "segmentationobject", "segmask", "segmasks",
    "groundtruth", "ground_truth", "gt", "trimap", "trimaps", "matte", "mattes", "labels", "annotations",
  ]
  private static let suffixes = [
    "_mask", "-mask", ".mask", " mask", "_masks", "_seg", "-seg", "_segmentation", "_gt", "_label", "_labels",
    "_trimap",
    "_matte",
  ]
  /// How many pictures of a folder of such a name are looked at, to tell masks from a class of that name.
  private static let lookedAt = 5

  static func isNamedForMasks(_ folder: some StringProtocol) -> Bool { folderNames.contains(folder.lowercased()) }

  init(_ tree: FolderTree) {
    above = tree.above
    images = tree.pictures
    takeFolders(tree)
    takeBeside(tree)
  }

  /// Folders of masks by their names, where what lies there looks like masks.
  private mutating func takeFolders(_ tree: FolderTree) {
    var members: [[UInt8]: [String]] = [:]
    var rest: [String] = []
    for path in images {
      let parts = path.split(separator: "/")
      guard let at = parts.dropLast().firstIndex(where: { Self.folderNames.contains($0.lowercased()) }) else {
        rest.append(path)
        continue
      }
      let folder = parts[...at].joined(separator: "/")
      members[Array(folder.utf8), default: []].append(path)
    }
    for (_, paths) in members.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let looked = paths.prefix(Self.lookedAt)
      guard 2 * looked.count(where: { isMaskLike(path: "\(tree.root)/\($0)") }) > looked.count else {
        rest += paths
        continue
      }
      inFolders += paths.map { ($0, Self.imageStem(ofMaskAt: $0)) }
    }
    images = rest.sorted(by: precedes)
  }

  /// Masks beside pictures, where they look like masks; then what is called as these are.
  private mutating func takeBeside(_ tree: FolderTree) {
    let stems = Dictionary(grouping: images) { Array(stem(of: $0).utf8) }
    var rest: [String] = []
    var habits = Habits()
    for path in images {
      let own = stem(of: path)
      let isTwin = ending(of: path).lowercased() == "png" && (stems[Array(own.utf8)]?.count ?? 0) > 1
      let base = isTwin ? own : Self.withoutSuffix(own).flatMap { stems[Array($0.utf8)] == nil ? nil : $0 }
      if let base, isMaskLike(path: "\(tree.root)/\(path)") {
        beside.append((path, base))
        habits.note(path, isTwin: isTwin)
      } else {
        rest.append(path)
      }
    }
    let hasOthers = rest.contains { Self.suffix(of: stem(of: $0)) == nil }
    images = []
    for path in rest {
      let place = "\(tree.root)/\(path)"
      let own = stem(of: path)
      let base = Self.withoutSuffix(own)
      let hasPicture = base.map { stems[Array($0.utf8)] != nil } ?? false
      if habits.haveSuffix(of: path, whateverEnding: hasPicture) {
        if isMaskLike(path: place) { beside.append((path, base ?? own)) } else { unlike.append(path) }
      } else if base != nil && hasOthers && !hasPicture || habits.haveTwins(in: path), hasFewColours(path: place) {
        // Its picture is not there.
        beside.append((path, base ?? own))
      } else {
        images.append(path)
      }
    }
  }

  /// How the masks are called that lie beside their pictures.
  private struct Habits {
    /// `_mask`, with the files' endings.
    private var endings: [String: Set<String>] = [:]
    /// Folders with `x.png` beside `x.jpg`.
    private var foldersOfTwins: Set<[UInt8]> = []

    mutating func note(_ mask: String, isTwin: Bool) {
      if isTwin {
        foldersOfTwins.insert(Array(folder(of: mask).utf8))
      } else if let suffix = MaskPairs.suffix(of: stem(of: mask)) {
        endings[suffix, default: []].insert(ending(of: mask).lowercased())
      }
    }

    func haveSuffix(of path: String, whateverEnding: Bool) -> Bool {
      guard let known = MaskPairs.suffix(of: stem(of: path)).flatMap({ endings[$0] }) else { return false }
      return whateverEnding || known.contains(ending(of: path).lowercased())
    }

    func haveTwins(in path: String) -> Bool {
      ending(of: path).lowercased() == "png" && foldersOfTwins.contains(Array(folder(of: path).utf8))
    }
  }

  /// Folders that are none of masks, nor lie in one.
  func foldersWithoutMasks(of tree: FolderTree) -> [String] {
    guard !inFolders.isEmpty else { return tree.folders }
    return tree.folders.filter { path in
      !path.split(separator: "/").contains { Self.folderNames.contains($0.lowercased()) }
    }
  }

  /// A path without the folders that are named for masks, and without its ending.
  private static func imageStem(ofMaskAt path: String) -> String {
    let parts = path.split(separator: "/")
    let kept = parts.dropLast().filter { !folderNames.contains($0.lowercased()) } + parts.suffix(1)
    return stem(of: kept.joined(separator: "/"))
  }

  private static func suffix(of stem: String) -> String? { suffixes.first { stem.lowercased().hasSuffix($0) } }

  private static func withoutSuffix(_ stem: String) -> String? {
    suffix(of: stem).map { String(stem.dropLast($0.count)) }
  }

  /// The masks of the set's images, by their number.
  ///
  /// - Parameters:
  ///   - images: relative to the folder of images, `prefix` between it and the root.
  ///   - named: a folder of masks that the user names, in place of all others, and what lies in it.
  /// - Returns: paths relative to the root, or to the named folder.
  func masks(
    of images: [String], prefix: String, named: FolderTree?, _ findings: inout Findings
  ) -> [Int: String] {
    let index = StemIndex(images)
    var result: [Int: String] = [:]
    let (prefix, place) = named == nil ? (prefix, above) : (joined(above, prefix), "")
    let own = named.map { tree in tree.pictures.map { (mask: $0, stem: Self.imageStem(ofMaskAt: $0)) } }
    for (mask, stem) in own ?? (inFolders + beside) {
      switch index.find(stem, prefix: prefix, withoutSuffix: Self.withoutSuffix) {
      case .none: findings.note(.maskWithoutImage, place + mask)
      case .several(let count): findings.note(.maskClash, place + mask, "of \(count)")
      case .one(let image) where result[image] != nil: findings.note(.secondMask, place + mask)
      case .one(let image): result[image] = mask
      }
    }
    return result
  }
}

/// Images by their paths without ending: whole, without folders such as `images/`, and from their last parts on.
private struct StemIndex {
  enum Match {
    case none
    case one(Int)
    case several(Int)
  }

  private var whole: [String: [Int]] = [:]
  /// As `x/images/1` stands beside `x/masks/1`.
  private var withoutImageFolders: [String: [Int]] = [:]
  private var bySuffix: [String: [Int]] = [:]

  init(_ images: [String]) {
    for (number, path) in images.enumerated() {
      let stem = stem(of: path)
      whole[stem, default: []].append(number)
      var parts = ArraySlice(stem.split(separator: "/"))
      let kept = parts.dropLast().filter { !ClassFolders.isNamedForImages($0) } + parts.suffix(1)
      withoutImageFolders[kept.joined(separator: "/"), default: []].append(number)
      while !parts.isEmpty {
        bySuffix[parts.joined(separator: "/"), default: []].append(number)
        parts = parts.dropFirst()
      }
    }
  }

  /// The image of a mask: by its whole path, else by its path's last parts, where only one image has them.
  func find(_ mask: String, prefix: String, withoutSuffix: (String) -> String?) -> Match {
    let start = prefix.isEmpty ? mask : mask.hasPrefix("\(prefix)/") ? String(mask.dropFirst(prefix.count + 1)) : mask
    let match = find(start, withoutSuffix)
    guard case .none = match else { return match }
    // Masks may lie below the first of the folders that lead to the images: x/masks/1 of x/images/1.
    let parts = mask.split(separator: "/")
    let common = zip(parts.dropLast(), prefix.split(separator: "/")).prefix { isSame(String($0), String($1)) }.count
    return common == 0 ? .none : find(parts.dropFirst(common).joined(separator: "/"), withoutSuffix)
  }

  private func find(_ start: String, _ withoutSuffix: (String) -> String?) -> Match {
    var names = [start]
    if let base = withoutSuffix(start) { names.append(base) }
    // The image's own ending may stand before the mask's: x.jpg.png.
    names += names.map { stem(of: $0) }
    for table in [whole, withoutImageFolders, bySuffix] {
      for name in names {
        guard let found = table[name] else { continue }
        return found.count == 1 ? .one(found[0]) : .several(found.count)
      }
    }
    return .none
  }
}
