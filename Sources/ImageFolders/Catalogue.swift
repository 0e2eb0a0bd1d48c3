import Failures
import Foundation
import Images
import Randomness

/// Where a folder of images lies, and what tells of them.
public struct CatalogueSource: Sendable {
  /// A folder; or a CSV of path, label and split, whose folder it then is.
  public var root: String
  /// Such a CSV, anywhere; nil looks for one in the folder.
  public var labels: String?
  /// CSV or COCO JSON files; nil looks for such in the folder and in its `annotations/`.
  public var boxes: [String]?
  /// A folder of masks; nil looks for them beside the images.
  public var masks: String?
  /// False leaves masks unused; they are no images all the same, so that ids do not depend on it.
  public var hasMasks = true
  public var followsLinks = false
  /// False reads no pictures and no boxes.
  public var looksAtFiles = true

  public init(root: String) { self.root = root }
}

/// One image of a catalogue.
public struct CataloguedImage: Equatable, Sendable {
  public let id: Int
  /// Relative to the catalogue's `imageRoot`.
  public let path: String
  /// Place among the classes, from 0.
  public let label: Int
  public let part: Part
  /// Where its mask lies; nil where it has none.
  public let mask: String?
  public let box: PixelBox?

  /// The same with another mask, or with none.
  public func withMask(_ mask: String?) -> CataloguedImage {
    CataloguedImage(id: id, path: path, label: label, part: part, mask: mask, box: box)
  }

  fileprivate func inPart(_ part: Part) -> CataloguedImage {
    CataloguedImage(id: id, path: path, label: label, part: part, mask: mask, box: box)
  }
}

/// The images of a folder with class, part, mask and box, as `ala import` brings them into CUB-200-2011's layout and
/// `data.layout: folders` reads them: the same ids in both, whatever order the file system lists files in.
public struct Catalogue: Sendable {
  /// What images' paths are relative to.
  public let imageRoot: String
  /// The data set's ids and names of the classes, in their order.
  public let classes: [(id: Int, name: String)]
  /// In the order of their ids.
  public let images: [CataloguedImage]
  public let findings: Findings
  /// How the folder was understood, in words.
  public let notes: [String]
  /// Whether the parts are those of the folder, or drawn.
  public let hasOwnValidation: Bool
  /// Whether the test images are drawn of all of a class.
  public let drawsTests: Bool

  /// Goes through a folder.
  ///
  /// - Throws: `Failure` 66 for what is not there, 65 for lists that cannot be read and where there is no image.
  public init(_ source: CatalogueSource) throws {
    let (root, labels) = try Self.place(of: source)
    let whole = try FolderTree(root, followsLinks: source.followsLinks, leaving: source.masks)
    if whole.others.contains("images.txt"), whole.others.contains("classes.txt") {
      throw Failure.badData("\(root): is in CUB-200-2011's layout already; use it as data.root, with data.layout: cub")
    }
    // The paths of a list that is named, and so the set's, begin in the folder that is given.
    let tree = labels == nil ? whole.below(whole.wrapper) : whole
    let pairs = MaskPairs(tree)
    let found = try FoundLists(source, tree: tree, labels: labels, wrapper: labels == nil ? "" : whole.wrapper)
    // A list tells itself of what it names; the rest is left, whatever it is.
    var findings = found.labels.isEmpty ? whole.findings : whole.findings.withoutProblems
    let placed = try Placement(tree, pairs: pairs, lists: found.labels)
    let broken = found.broken + placed.broken.filter { !found.paths.contains($0.path) }
    for list in broken { findings.note(.badList, tree.above + list.path, list.words) }
    for list in found.rivals { findings.note(.severalLists, tree.above + list) }
    let listPaths = found.paths.union(placed.listPaths + placed.broken.map(\.path))
    let ownFindings = placed.findings.without(.annotations) { folder in
      listPaths.contains { $0.hasPrefix("\(folder)/") }
    }
    // What folders seem to lack may be in the list of labels.
    findings.add(found.lacksLabels ? ownFindings.withoutProblems : ownFindings)
    for path in tree.others where !listPaths.contains(path) {
      if let words = found.unused[path] {
        findings.note(.unusedList, tree.above + path, words)
      } else {
        findings.note(.noPicture, tree.above + path)
      }
    }
    func isAbove(_ path: String) -> Bool { !path.utf8.starts(with: tree.above.utf8) }
    for path in whole.others where isAbove(path) { findings.note(.noPicture, path) }
    for path in whole.pictures where isAbove(path) { findings.note(found.labels.isEmpty ? .noClass : .notListed, path) }
    imageRoot = placed.prefix.isEmpty ? tree.root : "\(tree.root)/\(placed.prefix)"

    let order = ClassOrder(placed.images, &findings)
    let images = order.images.map(\.image)
    let named = try source.masks.map { try Self.tree($0, followsLinks: source.followsLinks) }
    if let named { findings.add(named.findings) }
    let masks =
      source.hasMasks
      ? pairs.masks(of: images.map(\.path), prefix: placed.prefix, named: named, &findings) : [:]
    let taken = Set(images.map { Array("\(placed.prefix.isEmpty ? "" : "\(placed.prefix)/")\($0.path)".utf8) })
    for path in pairs.unlike where !taken.contains(Array(path.utf8)) {
      findings.note(.unlikeMask, tree.above + path)
    }
    var boxes: [Int: PixelBox] = [:]
    if source.looksAtFiles, !found.boxes.isEmpty {
      // The names in files that are given begin where the folder that is given does.
      let (start, above) = source.boxes == nil ? (tree.root, "") : (root, tree.above)
      let choice = BoxChoice(
        found.boxes, images: images, imageRoot: imageRoot, prefix: joined(above, placed.prefix), root: start,
        pictures: tree.pictures)
      findings.add(choice.findings)
      boxes = choice.boxes
    }
    Self.noteTwins(images.map(\.path), &findings)
    let parts = Parts(order)
    let maskRoot = named?.root ?? tree.root
    self.images = images.indices.map { index in
      CataloguedImage(
        id: index + 1, path: images[index].path, label: order.images[index].label, part: parts.parts[index],
        mask: masks[index].map { "\(maskRoot)/\($0)" }, box: boxes[index])
    }
    classes = order.classes
    (hasOwnValidation, drawsTests) = (parts.hasValidation, parts.isDrawn)
    self.findings = findings
    notes = [placed.note] + found.notes + [parts.note]
    guard !images.isEmpty || findings.problemCount > 0 else {
      let left = findings.lines(problems: false).map { "\n  \($0)" }.joined()
      throw Failure.badData(
        "\(root): holds no image of a class; expected \(root)/CLASS/image.jpg, folders train/ and val/ of such, or a CSV of "
          + "path, label\(left)")
    }
  }

  /// Some of the images, in their order, with the parts that they have without the others.
  public func parted(_ kept: [CataloguedImage]) -> [CataloguedImage] {
    guard drawsTests else { return kept }
    let isTest = drawnTests(labels: kept.map(\.label), classIDs: classes.map(\.id))
    return zip(kept, isTest).map { $0.inPart($1 ? .test : .train) }
  }

  /// The folder, and the list of labels that is named.
  private static func place(of source: CatalogueSource) throws -> (root: String, labels: String?) {
    var status = stat()
    guard stat(source.root, &status) == 0 else {
      throw Failure.missingInput("\(source.root): there is no such folder or CSV")
    }
    if status.st_mode & S_IFMT == S_IFREG, isPicture(source.root) {
      throw Failure.badData("\(source.root): is a picture; expected a folder of pictures, or a CSV of path, label")
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      var root = source.root
      while root.count > 1, root.hasSuffix("/") { root.removeLast() }
      return (root, source.labels)
    }
    let folder = folder(of: source.root)
    let root = folder.isEmpty ? (source.root.hasPrefix("/") ? "/" : ".") : folder
    return (root, source.labels ?? source.root)
  }

  private static func tree(_ masks: String, followsLinks: Bool) throws -> FolderTree {
    var status = stat()
    guard stat(masks, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure.missingInput("\(masks): there is no such folder of masks")
    }
    return try FolderTree(masks, followsLinks: followsLinks)
  }

  /// `a/x.jpg` and `a/x.png` would have one mask.
  private static func noteTwins(_ paths: [String], _ findings: inout Findings) {
    var seen: [[UInt8]: String] = [:]
    for path in paths {
      let own = Array(stem(of: path).utf8)
      if let first = seen[own] {
        findings.note(.nameClash, path, "beside \(first)")
      } else {
        seen[own] = path
      }
    }
  }
}
