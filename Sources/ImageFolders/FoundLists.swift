import Failures
import Foundation

/// Lists of labels and of boxes: those that are named, else those that lie in the folder.
struct FoundLists {
  /// Of path and label: one, or one of each part.
  private(set) var labels: [CSVTable] = []
  private(set) var boxes: [BoxFile] = []
  /// Those of them that lie in the tree, relative to its root.
  private(set) var paths: Set<String> = []
  /// What was found without being named, in words.
  private(set) var notes: [String] = []
  /// Lists of the folder that cannot be read, and why.
  private(set) var broken: [(path: String, words: String)] = []
  /// Sound lists of labels, of which nothing tells which is meant.
  private(set) var rivals: [String] = []
  /// Tables and JSON of the folder that are no such lists, and why, by path.
  private(set) var unused: [String: String] = [:]
  /// Whether labels may be in a list that is not taken.
  private(set) var lacksLabels = false

  private var placesOfBoxes: [String] = []
  /// Between the folder that is given and the tree's root, for messages.
  private let above: String

  /// Folders, below the root, where lists are looked for.
  private static let folders: Set = ["", "annotations", "annotation", "boxes", "bboxes", "meta", "metadata", "labels"]

  /// - Parameters:
  ///   - labels: the list that is named, or given in place of a folder.
  ///   - wrapper: a folder of the tree in which lists are looked for as in its root.
  /// - Throws: `Failure` 66 or 65 for a file that is named.
  init(_ source: CatalogueSource, tree: FolderTree, labels: String?, wrapper: String) throws {
    above = tree.above
    if let labels {
      let table = try CSVTable(path: labels, leavingOutUneven: true)
      self.labels = [table]
      if let fault = table.fault { broken.append((labels, fault.words(behind: labels))) }
    }
    let named = [labels].compactMap(\.self) + (source.boxes ?? [])
    let root = realPath(tree.root) ?? tree.root
    for file in named {
      guard let real = realPath(file), real.hasPrefix(root + "/") else { continue }
      paths.insert(String(real.dropFirst(root.count + 1)))
    }
    let candidates = tree.others.filter { path in
      let start = wrapper.isEmpty || !path.hasPrefix("\(wrapper)/") ? 0 : wrapper.count + 1
      return Self.isListFolder(folder(of: String(path.dropFirst(start)))) && !paths.contains(path)
    }
    var wanted: Set<ListKind> = []
    if labels == nil { wanted.insert(.labels) }
    if source.boxes == nil && source.looksAtFiles { wanted.insert(.boxes) }
    try takeTables(candidates.filter { ["csv", "tsv"].contains(ending(of: $0).lowercased()) }, tree, wanted)
    if let files = source.boxes {
      boxes = source.looksAtFiles ? try files.map { try BoxFile(path: $0) } : []
    } else if source.looksAtFiles {
      takeJSON(candidates.filter { ending(of: $0).lowercased() == "json" }, tree)
      try takeXML(tree)
    }
    if !placesOfBoxes.isEmpty { notes.append("boxes are those of \(placesOfBoxes.joined(separator: ", "))") }
  }

  static func isListFolder(_ folder: String) -> Bool { folders.contains(folder.lowercased()) }

  // MARK: Tables

  private mutating func takeTables(_ candidates: [String], _ tree: FolderTree, _ wanted: Set<ListKind>) throws {
    guard !candidates.isEmpty, !wanted.isEmpty else { return }
    let index = PictureIndex(tree.pictures)
    var lists: [(path: String, table: CSVTable)] = []
    for path in candidates {
      let place = "\(tree.root)/\(path)"
      lazy var opening = ListOpening(of: path, tree: tree, index: index)
      do {
        let table = try CSVTable(path: place, leavingOutUneven: true)
        if BoxFile.hasColumns(table) {
          if let fault = table.fault { throw fault }
          if wanted.contains(.boxes) {
            takeBoxes(try BoxFile(table), of: path)
          } else {
            unused[path] = "other boxes are asked for, or none"
          }
        } else if LabelList.isList(table, tree: tree, index: index) {
          guard wanted.contains(.labels) else {
            unused[path] = "another list of labels is named"
            continue
          }
          guard table.rows.count > 1 || !LabelList.hasHeadings(table) else { throw LabelList.noLine(place) }
          if let fault = table.fault { note(path, fault, place) }
          lists.append((path, table))
        } else if let fault = table.fault {
          throw fault
        } else {
          let words = opening.kinds == [.boxes] ? BoxFile.wrongColumns(table) : LabelList.wrongColumns(table)
          throw Failure.badData("\(place): \(words)")
        }
      } catch let failure as Failure {
        let kinds = opening.kinds.intersection(wanted)
        if kinds.isEmpty { unused[path] = failure.words(behind: place) } else { note(path, failure, place) }
        lacksLabels = lacksLabels || kinds.contains(.labels)
      }
    }
    lists = Self.ofWholeSets(lists, tree: tree)
    let parts = lists.map { Part(ofListAt: $0.path) }
    paths.formUnion(lists.map(\.path))
    if lists.count < 2 || !parts.contains(nil) && Set(parts).count == parts.count {
      if wanted.contains(.labels) { labels = lists.map(\.table) }
    } else {
      (rivals, lacksLabels) = (lists.map(\.path), true)
    }
  }

  /// A list that is of validation or test images alone is none where others lie in class folders: it tells their classes
  /// (`PartLabels`).
  private static func ofWholeSets(
    _ lists: [(path: String, table: CSVTable)], tree: FolderTree
  ) -> [(path: String, table: CSVTable)] {
    guard lists.count == 1, let part = Part(ofListAt: lists[0].path), part != .train else { return lists }
    let folders = ClassFolders(pictures: tree.pictures, folders: [])
    return folders.parts == .aboveClasses && folders.images.contains { $0.part != part } ? [] : lists
  }

  private mutating func note(_ path: String, _ failure: Failure, _ place: String) {
    broken.append((path, failure.words(behind: place)))
    paths.insert(path)
  }

  // MARK: Boxes

  private mutating func takeBoxes(_ file: BoxFile, of path: String) {
    boxes.append(file)
    paths.insert(path)
    placesOfBoxes.append(above + path + (file.boxes.isEmpty ? " (which has none)" : ""))
  }

  private mutating func takeJSON(_ candidates: [String], _ tree: FolderTree) {
    for path in candidates {
      let place = "\(tree.root)/\(path)"
      do {
        if let file = try BoxFile(ifCOCO: place) {
          takeBoxes(file, of: path)
        } else {
          unused[path] = "has no images and annotations at its first level, as COCO's boxes have"
        }
      } catch let failure as Failure {
        if ListOpening.isOfBoxes(json: path, in: tree.root) {
          note(path, failure, place)
        } else {
          unused[path] = failure.words(behind: place)
        }
      } catch {
        unused[path] = "\(error)"
      }
    }
  }

  private mutating func takeXML(_ tree: FolderTree) throws {
    let files = tree.others.filter {
      ending(of: $0).lowercased() == "xml" && AnnotationXML.isThere("\(tree.root)/\($0)")
    }
    guard !files.isEmpty else { return }
    paths.formUnion(files)
    var faults: [(path: String, words: String)] = []
    let found = try BoxFile(annotations: files, in: tree.root) { file, failure in
      faults.append((file, failure.words(behind: "\(tree.root)/\(file)")))
    }
    boxes.append(found)
    broken += faults
    placesOfBoxes.append("\(files.count) XML file\(files.count == 1 ? "" : "s")")
  }
}
