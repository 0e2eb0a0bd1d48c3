import Failures
import Foundation

/// Lists of labels and of boxes: those that are named, else those that lie in the folder.
struct FoundLists {
  let labels: CSVTable?
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
      Self.folders.contains(folder(of: path).lowercased())
        && ["csv", "tsv", "json"].contains(ending(of: path).lowercased())
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
      self.labels = try CSVTable(path: labels)
    } else {
      let lists = tables.filter { LabelList.hasColumns($0.table) && !BoxFile.hasColumns($0.table) }
      guard lists.count < 2 else {
        throw Failure.badData(
          "\(tree.root): has \(lists.count) lists of labels, \(lists.map(\.path).joined(separator: ", ")); name one with "
            + "--labels (data.labels)")
      }
      self.labels = lists.first?.table
      for (path, _) in lists {
        paths.insert(path)
        notes.append("labels are those of \(path)")
      }
    }
    if let named = source.boxes {
      boxes = source.looksAtFiles ? try named.map { try BoxFile(path: $0) } : []
    } else if source.looksAtFiles {
      let found =
        tables.filter { BoxFile.hasColumns($0.table) }.map(\.path)
        + candidates.filter { ending(of: $0).lowercased() == "json" && BoxFile.isCOCO("\(tree.root)/\($0)") }
      boxes = try found.map { try BoxFile(path: "\(tree.root)/\($0)") }
      paths.formUnion(found)
      if !found.isEmpty { notes.append("boxes are those of \(found.joined(separator: ", "))") }
    } else {
      boxes = []
    }
    let root = realPath(tree.root) ?? tree.root
    for named in [labels].compactMap({ $0 }) + (source.boxes ?? []) {
      guard let real = realPath(named), real.hasPrefix(root + "/") else { continue }
      paths.insert(String(real.dropFirst(root.count + 1)))
    }
    (self.paths, self.notes) = (paths, notes)
  }
}

/// Which pictures are images of the set, and of which class and part: by a list of labels, else by their folders.
struct Placement {
  let prefix: String
  let images: [PlacedImage]
  let findings: Findings
  /// How it was understood, in words.
  let note: String

  init(_ tree: FolderTree, pairs: MaskPairs, list: CSVTable?) throws {
    if let list {
      let labels = try LabelList(list, tree: tree, pictures: pairs.images)
      (prefix, images, findings) = ("", labels.images, labels.findings)
      note = "taken as the list of labels \(list.path)"
      return
    }
    let folders = ClassFolders(pictures: pairs.images, folders: pairs.foldersWithoutMasks(of: tree))
    (prefix, images, findings) = (folders.prefix, folders.images, folders.findings)
    let place = folders.prefix.isEmpty ? "" : " in \(folders.prefix)/"
    note =
      folders.hasParts
      ? "taken as folders of training, validation and test\(place), in each a folder for each class"
      : "taken as a folder for each class\(place)"
  }
}
