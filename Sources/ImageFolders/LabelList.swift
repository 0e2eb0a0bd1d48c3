import Failures
import Foundation

/// A CSV of path, label and, where it has such a column, split.
struct LabelList {
  let path: String
  /// Of images that are there, in the list's order; paths relative to the root.
  private(set) var images: [PlacedImage] = []
  private(set) var findings = Findings()

  static let pathNames = [
    "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img", "img_path",
    "image_name", "name",
  ]
  static let labelNames = ["label", "class", "class_name", "label_name", "category", "target", "species"]
  private static let partNames = ["split", "set", "subset", "partition", "part"]

  private struct Columns {
    let path: Int
    let label: Int
    let part: Int?
    /// Rows before the first of the list.
    let headings: Int
  }

  /// Whether a table has the columns of such a list.
  static func hasColumns(_ table: CSVTable) -> Bool {
    table.column(pathNames) != nil && table.column(labelNames) != nil
  }

  /// - Parameters:
  ///   - tree: pictures that may be named.
  ///   - pictures: those of the tree that are no masks.
  /// - Throws: `Failure` 66 or 65 for the file itself; what its lines say is a finding.
  init(_ table: CSVTable, tree: FolderTree, pictures: [String]) throws {
    path = table.path
    let folder = Self.folder(of: table.path, below: tree.root)
    let index = PictureIndex(tree.pictures)
    func find(_ name: String) -> PictureIndex.Match {
      index.find(Self.relative(name, to: tree.root), listedIn: folder, byLastParts: false)
    }
    let columns = try Self.columns(table) { find($0) != .none }
    var found: [Int: (label: String, part: Part?)] = [:]
    var order: [Int] = []
    for row in table.rows.dropFirst(columns.headings) {
      let place = "\(lastPart(of: table.path)):\(row.line) \(row.fields[columns.path])"
      let label = row.fields[columns.label].trimmingCharacters(in: .whitespaces)
      let word = columns.part.map { row.fields[$0] } ?? ""
      let part = Part(name: word)
      guard case .one(let number) = find(row.fields[columns.path]) else {
        findings.note(Self.absence(of: row.fields[columns.path], folder: folder, tree: tree), place)
        continue
      }
      if label.isEmpty {
        findings.note(.noLabel, place)
      } else if !word.isEmpty, part == nil {
        findings.note(.badPart, place, word)
      } else if !isWritable(inALine: label) {
        findings.note(.badName, place, label)
      } else if let known = found[number] {
        findings.note(known.label == label && known.part == part ? .repeated : .labelClash, place)
      } else {
        found[number] = (label, part)
        order.append(number)
      }
    }
    images = order.compactMap { number in
      found[number].map { PlacedImage(path: tree.pictures[number], className: $0.label, part: $0.part) }
    }
    let listed = Set(order.map { Array(tree.pictures[$0].utf8) })
    for path in pictures where !listed.contains(Array(path.utf8)) { findings.note(.notListed, path) }
  }

  private static func columns(_ table: CSVTable, isPicture: (String) -> Bool) throws -> Columns {
    if let path = table.column(pathNames), let label = table.column(labelNames) {
      return Columns(path: path, label: label, part: table.column(partNames), headings: 1)
    }
    let first = table.rows[0].fields
    // Without headings: path,label[,split].
    if (2...3).contains(first.count), isPicture(first[0]) {
      return Columns(path: 0, label: 1, part: first.count == 3 ? 2 : nil, headings: 0)
    }
    throw Failure.badData(
      "\(table.path): has the columns \(first.joined(separator: ", ")); expected path, label and, if there is one, split"
    )
  }

  /// Why a name leads to no picture.
  private static func absence(of name: String, folder: String?, tree: FolderTree) -> FindingKind {
    let place = relative(name, to: tree.root)
    let beside = folder.map { "\($0)/\(place)" }
    let isOutside = place.hasPrefix("/") || (simplified(place) == nil && beside.flatMap(simplified) == nil)
    if isOutside { return .outside }
    let candidates = [place] + (beside.map { [$0] } ?? [])
    // What is there and was not taken has a reason of its own: it is no JPEG or PNG, or hidden, or a link.
    return candidates.contains { access("\(tree.root)/\($0)", F_OK) == 0 } ? .otherFormat : .missing
  }

  /// A list's folder, relative to the root; nil where it lies elsewhere.
  static func folder(of list: String, below root: String) -> String? {
    guard let own = realPath(list), let root = realPath(root), own.hasPrefix(root + "/") else { return nil }
    return ImageFolders.folder(of: String(own.dropFirst(root.count + 1)))
  }

  /// An absolute path below the root, from there.
  static func relative(_ name: String, to root: String) -> String {
    guard name.hasPrefix("/") else { return name }
    for root in [root, realPath(root) ?? root] where name.hasPrefix(root + "/") {
      return String(name.dropFirst(root.count + 1))
    }
    return name
  }
}
