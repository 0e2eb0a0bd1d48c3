import Files
import Foundation

/// What a list tells of pictures.
enum ListKind {
  case labels, boxes
}

/// What a file that may be broken looks like by its name and its first lines, so that a list with a fault is told from a
/// file that is none.
struct ListOpening {
  /// What it seems to be a list of; empty for neither.
  let kinds: Set<ListKind>

  private static let labelWords: Set = ["label", "labels", "annotation", "annotations"]
  private static let boxWords: Set = ["box", "boxes", "bbox", "bboxes"]
  private static let boxWordsOfJSON = boxWords.union(["annotation", "annotations", "instances", "coco"])

  /// Of a CSV: by the headings that such lists have; by a picture in the first field of two or three, which needs no
  /// headings; or by its name, unless its lines are sound and name no picture.
  ///
  /// - Parameter path: relative to the tree's root.
  init(of path: String, tree: FolderTree, index: PictureIndex) {
    let lines = CSVTable.opening(of: "\(tree.root)/\(path)")
    func isPicture(_ name: String) -> Bool {
      index.find(LabelList.relative(name, to: tree.root), listedIn: folder(of: path), byLastParts: true) != .none
    }
    var kinds: Set<ListKind> = []
    let first = lines.first ?? []
    if BoxFile.hasHeadings(first) {
      kinds.insert(.boxes)
    } else if LabelList.hasHeadings(first) {
      kinds.insert(.labels)
    }
    if kinds.isEmpty, (2...3).contains(first.count), isPicture(first[0]) { kinds.insert(.labels) }
    let isTable = lines.count == 2 && lines[1].count == first.count && first.count > 1
    // A number alone may be a picture's name by chance.
    let namesPicture = isTable && lines[1].contains { $0.contains { "./".contains($0) } && isPicture($0) }
    if kinds.isEmpty, !isTable || namesPicture {
      let words = Self.words(path)
      if !words.isDisjoint(with: Self.labelWords) { kinds.insert(.labels) }
      if !words.isDisjoint(with: Self.boxWords) { kinds.insert(.boxes) }
    }
    self.kinds = kinds
  }

  /// Whether a JSON that cannot be read seems to be COCO's, by its name or the names of its members.
  static func isOfBoxes(json path: String, in root: String) -> Bool {
    guard words(path).isDisjoint(with: boxWordsOfJSON) else { return true }
    guard let bytes = try? readFile("\(root)/\(path)", most: BoxFile.mostJSONBytes) else { return false }
    let data = Data(bytes)
    func has(_ name: String) -> Bool { data.range(of: Data("\"\(name)\"".utf8)) != nil }
    return has("images") && (has("annotations") || has("file_name")) || has("annotations") && has("bbox")
  }

  private static func words(_ path: String) -> Set<String> {
    Set(stem(of: lastPart(of: path)).lowercased().split { !$0.isLetter }.map(String.init))
  }
}
