/// Which pictures are images of the set, and of which class and part: by a list of labels, else by their folders.
struct Placement {
  let prefix: String
  let images: [PlacedImage]
  let findings: Findings
  /// How it was understood, in words.
  let note: String

  /// Lists of labels of pictures that lie in no class folder, relative to the root.
  let listPaths: [String]
  /// Such lists that cannot be read, and why.
  private(set) var broken: [(path: String, words: String)] = []

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
    broken = labels.broken
    let own = "\(tree.above)\(folders.prefix.isEmpty ? "" : "\(folders.prefix)/")"
    let place = own.isEmpty ? "" : " in \(own)"
    let words =
      switch folders.parts {
      case .none: "taken as a folder for each class\(place)"
      case .aboveClasses: "taken as folders of training, validation and test\(place), in each a folder for each class"
      case .belowClasses: "taken as a folder for each class\(place), in each folders of training, validation and test"
      }
    let lists = listPaths.map { tree.above + $0 }.joined(separator: ", ")
    note = words + (lists.isEmpty ? "" : "; labels of others are those of \(lists)")
  }
}
