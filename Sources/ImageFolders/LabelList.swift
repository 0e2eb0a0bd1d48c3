import Failures
import Foundation

/// CSVs of path, label and, where they have such a column, split.
struct LabelList {
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

  static func hasHeadings(_ table: CSVTable) -> Bool { hasHeadings(table.rows[0].fields) }

  /// Whether a file's first line has the columns of such a list.
  static func hasHeadings(_ fields: [String]) -> Bool {
    CSVTable.column(pathNames, of: fields) != nil && CSVTable.column(labelNames, of: fields) != nil
  }

  static func wrongColumns(_ table: CSVTable) -> String {
    let first = table.rows[0].fields
    if FolderTree.isNamedAsPicture(first[0]) {
      return "has no headings (path, label and, if there is one, split), and no picture \(first[0]), as its first line "
        + "has it, is there"
    }
    return "has the columns \(first.joined(separator: ", ")); expected path, label and, if there is one, split"
  }

  static func noLine(_ path: String) -> Failure {
    .badData("\(path): has nothing but its headings; expected a line for each picture below them")
  }

  /// Whether a table is such a list, by its headings, or without them by its first picture.
  static func isList(_ table: CSVTable, tree: FolderTree, index: PictureIndex) -> Bool {
    (try? columns(table) { find($0, in: table, tree: tree, index: index) != .none }) != nil
  }

  private static func find(
    _ name: String, in table: CSVTable, tree: FolderTree, index: PictureIndex
  ) -> PictureIndex.Match {
    let folder = Self.folder(of: table.path, below: tree.root)
    let name = Self.relative(name, to: tree.root)
    let own = index.find(name, listedIn: folder, byLastParts: false)
    // Images of train.csv may lie in train/.
    return own == .none
      ? index.find("\(stem(of: lastPart(of: table.path)))/\(name)", listedIn: folder, byLastParts: false) : own
  }

  /// - Parameters:
  ///   - tables: one; or several, of which the name of each tells the part of those images whose line does not.
  ///   - tree: pictures that may be named.
  ///   - pictures: those of the tree that are no masks.
  /// - Throws: `Failure` 66 or 65 for the file itself; what its lines say is a finding.
  init(_ tables: [CSVTable], tree: FolderTree, pictures: [String]) throws {
    let index = PictureIndex(tree.pictures)
    let reasons = tree.reasons
    var named: Set<String> = []
    var found: [Int: (label: String, part: Part?)] = [:]
    var order: [Int] = []
    for table in tables {
      try take(
        table, partOfList: tables.count > 1 ? Part(ofListAt: table.path) : nil, tree: tree, index: index,
        reasons: reasons, named: &named, found: &found, order: &order)
    }
    images = order.compactMap { number in
      found[number].map { PlacedImage(path: tree.pictures[number], className: $0.label, part: $0.part) }
    }
    let listed = Set(order.map { Array(tree.pictures[$0].utf8) })
    for path in pictures where !listed.contains(Array(path.utf8)) { findings.note(.notListed, path) }
    for (path, kind) in reasons.sorted(by: { precedes($0.key, $1.key) }) where kind.isProblem && !named.contains(path) {
      findings.note(.notListed, path, kind.words)
    }
  }

  private mutating func take(
    _ table: CSVTable, partOfList: Part?, tree: FolderTree, index: PictureIndex, reasons: [String: FindingKind],
    named: inout Set<String>, found: inout [Int: (label: String, part: Part?)], order: inout [Int]
  ) throws {
    let folder = Self.folder(of: table.path, below: tree.root)
    func find(_ name: String) -> PictureIndex.Match { Self.find(name, in: table, tree: tree, index: index) }
    let columns = try Self.columns(table) { find($0) != .none }
    guard table.rows.count > columns.headings else { throw Self.noLine(table.path) }
    let used = [columns.path, columns.label] + (columns.part.map { [$0] } ?? [])
    for column in columns.headings == 0 ? [] : table.headings(without: used) {
      findings.note(.unusedColumn, "\(lastPart(of: table.path)): \(column)")
    }
    for row in table.rows.dropFirst(columns.headings) {
      let place = "\(lastPart(of: table.path)):\(row.line) \(row.fields[columns.path])"
      let label = row.fields[columns.label].trimmingCharacters(in: .whitespaces)
      let word = columns.part.map { row.fields[$0] } ?? ""
      let part = word.isEmpty ? partOfList : Part(name: word)
      guard case .one(let number) = find(row.fields[columns.path]) else {
        let absence = Self.absence(of: row.fields[columns.path], folder: folder, tree: tree, reasons: reasons)
        findings.note(absence.kind, place)
        if let path = absence.path { named.insert(path) }
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
    throw Failure.badData("\(table.path): \(wrongColumns(table))")
  }

  /// Why a name leads to no picture.
  ///
  /// - Parameter reasons: why paths of the tree were not taken.
  /// - Returns: with the path of the tree that it leads to, if there is one.
  private static func absence(
    of name: String, folder: String?, tree: FolderTree, reasons: [String: FindingKind]
  ) -> (kind: FindingKind, path: String?) {
    let name = relative(name.replacing("\\", with: "/"), to: tree.root)
    let places = ([name] + (folder.map { $0.isEmpty ? [] : ["\($0)/\(name)"] } ?? [])).compactMap(simplified)
    guard !name.hasPrefix("/"), !places.isEmpty else { return (.outside, nil) }
    for place in places {
      var above = place
      while !above.isEmpty {
        if let kind = reasons[above] { return (kind.isProblem ? kind : .namedButLeft, above) }
        above = ImageFolders.folder(of: above)
      }
    }
    // What is there and was not left for another reason is no picture.
    return (places.contains { access("\(tree.root)/\($0)", F_OK) == 0 } ? .otherFormat : .missing, nil)
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
