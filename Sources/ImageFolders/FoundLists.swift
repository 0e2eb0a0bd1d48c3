import Failures
import Foundation

/// Lists of labels and of boxes: those that are named, else those that lie in the folder.
struct FoundLists {
  /// Of path and label: one, or one of each part.
  let labels: [CSVTable]
  let boxes: [BoxFile]
  /// Those of them that lie in the tree, relative to its root.
  let paths: Set<String>
  /// What was found without being named, in words.
  let notes: [String]

  /// Folders, below the root, where lists are looked for.
  private static let folders: Set = ["", "annotations", "annotation", "boxes", "bboxes", "meta", "metadata", "labels"]

  /// - Parameter labels: the list that is named, or given in place of a folder.
  /// - Throws: `Failure` 66 or 65 for a file that is named.
  init(_ source: CatalogueSource, tree: FolderTree, labels: String?) throws {
    let candidates = tree.others.filter { path in
      Self.isListFolder(folder(of: path)) && ["csv", "tsv", "json"].contains(ending(of: path).lowercased())
    }
    var tables: [(path: String, table: CSVTable)] = []
    if labels == nil || source.boxes == nil {
      for path in candidates where ending(of: path).lowercased() != "json" {
        if let table = try? CSVTable(path: "\(tree.root)/\(path)") { tables.append((path, table)) }
      }
    }
    var paths: Set<String> = []
    var notes: [String] = []
    if let labels {
      self.labels = [try CSVTable(path: labels)]
    } else {
      let lists = Self.labelLists(tables.filter { !BoxFile.hasColumns($0.table) }, tree: tree)
      let parts = lists.map { Part(ofListAt: $0.path) }
      guard lists.count < 2 || !parts.contains(nil) && Set(parts).count == parts.count else {
        throw Failure.badData(
          "\(tree.root): has \(lists.count) lists of labels, \(lists.map(\.path).joined(separator: ", ")); name one with "
            + "--labels (data.labels), or call them train.csv, val.csv and test.csv where each is of one part")
      }
      self.labels = lists.map(\.table)
      paths.formUnion(lists.map(\.path))
    }
    if let named = source.boxes {
      boxes = source.looksAtFiles ? try named.map { try BoxFile(path: $0) } : []
    } else if source.looksAtFiles {
      let found =
        tables.filter { BoxFile.hasColumns($0.table) }.map(\.path)
        + candidates.filter { ending(of: $0).lowercased() == "json" && BoxFile.isCOCO("\(tree.root)/\($0)") }
      let annotations = tree.others.filter {
        ending(of: $0).lowercased() == "xml" && AnnotationXML.isThere("\(tree.root)/\($0)")
      }
      boxes =
        try found.map { try BoxFile(path: "\(tree.root)/\($0)") }
        + (annotations.isEmpty ? [] : [try BoxFile(annotations: annotations, in: tree.root)])
      paths.formUnion(found + annotations)
      let words =
        found + (annotations.isEmpty ? [] : ["\(annotations.count) XML file\(annotations.count == 1 ? "" : "s")"])
      if !words.isEmpty { notes.append("boxes are those of \(words.joined(separator: ", "))") }
    } else {
      boxes = []
    }
    let root = realPath(tree.root) ?? tree.root
    for named in [labels].compactMap(\.self) + (source.boxes ?? []) {
      guard let real = realPath(named), real.hasPrefix(root + "/") else { continue }
      paths.insert(String(real.dropFirst(root.count + 1)))
    }
    (self.paths, self.notes) = (paths, notes)
  }

  static func isListFolder(_ folder: String) -> Bool { folders.contains(folder.lowercased()) }

  /// Tables of path and label: with such headings; or without any, of pictures that are there. One that is of validation or
  /// test images alone is none where others lie in class folders: it tells their classes (`PartLabels`).
  private static func labelLists(
    _ tables: [(path: String, table: CSVTable)], tree: FolderTree
  ) -> [(path: String, table: CSVTable)] {
    guard !tables.isEmpty else { return [] }
    let index = PictureIndex(tree.pictures)
    let lists = tables.filter { LabelList.isList($0.table, tree: tree, index: index) }
    guard lists.count == 1, let part = Part(ofListAt: lists[0].path), part != .train,
      ClassFolders(pictures: tree.pictures, folders: []).parts == .aboveClasses
    else { return lists }
    return []
  }
}

/// Which pictures are images of the set, and of which class and part: by a list of labels, else by their folders.
struct Placement {
  let prefix: String
  let images: [PlacedImage]
  let findings: Findings
  /// How it was understood, in words.
  let note: String

  /// Lists of labels of pictures that lie in no class folder, relative to the root.
  let listPaths: [String]

  init(_ tree: FolderTree, pairs: MaskPairs, lists: [CSVTable]) throws {
    if !lists.isEmpty {
      let labels = try LabelList(lists, tree: tree, pictures: pairs.images)
      (prefix, images, findings, listPaths) = ("", labels.images, labels.findings, [])
      note = "taken as the list\(lists.count == 1 ? "" : "s") of labels \(lists.map(\.path).joined(separator: ", "))"
      return
    }
    var folders = ClassFolders(pictures: pairs.images, folders: pairs.foldersWithoutMasks(of: tree))
    let labels = PartLabels(tree, of: folders.unlabelled, isListFolder: FoundLists.isListFolder)
    folders.take(labels)
    (prefix, images, findings, listPaths) = (folders.prefix, folders.images, folders.findings, labels.paths)
    let place = folders.prefix.isEmpty ? "" : " in \(folders.prefix)/"
    let words =
      switch folders.parts {
      case .none: "taken as a folder for each class\(place)"
      case .aboveClasses: "taken as folders of training, validation and test\(place), in each a folder for each class"
      case .belowClasses: "taken as a folder for each class\(place), in each folders of training, validation and test"
      }
    note = words + (listPaths.isEmpty ? "" : "; labels of others are those of \(listPaths.joined(separator: ", "))")
  }
}
