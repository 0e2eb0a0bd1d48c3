/// Folders around a set, as unpacked archives have them.
extension FolderTree {
  /// Down through folders outside of which nothing tells of the set; empty where the root is the first that holds more.
  ///
  /// It is that of all pictures, masks among them, and of lists; a README beside it is not in its way.
  var wrapper: String {
    var prefix: [String] = []
    var rest: [Place] =
      pictures.map { Place($0, isPicture: true) } + others.filter(Self.mayBeList).map { Place($0, isPicture: false) }
    while let first = rest.first(where: { $0.parts.count > 1 && $0.isPicture })?.parts[0],
      // One of a part's name is that part.
      Part(name: first) == nil,
      rest.allSatisfy({ $0.parts.count > 1 ? isSame($0.parts[0], first) : $0.isPicture })
    {
      let inFolder = rest.filter { $0.parts.count > 1 }.map(\.below)
      guard Self.mayHoldSet(first, inFolder) else { break }
      // A folder with pictures of its own is a class, unless a list in it tells their classes.
      let holdsPictures = inFolder.contains { $0.isPicture && $0.parts.count == 1 }
      guard !holdsPictures || below((prefix + [first]).joined(separator: "/")).hasLabels else { break }
      prefix.append(first)
      rest = inFolder
    }
    return prefix.joined(separator: "/")
  }

  private struct Place {
    var parts: [String]
    let isPicture: Bool

    init(_ path: String, isPicture: Bool) {
      (parts, self.isPicture) = (path.split(separator: "/").map(String.init), isPicture)
    }

    /// From the first folder on.
    var below: Place {
      var rest = self
      rest.parts.removeFirst()
      return rest
    }
  }

  /// Not a folder of masks and nothing else; one that holds images beside its masks may be called like one.
  private static func mayHoldSet(_ name: String, _ content: [Place]) -> Bool {
    !MaskPairs.isNamedForMasks(name)
      || content.contains { $0.isPicture && $0.parts.dropLast().contains { ClassFolders.isNamedForImages($0) } }
  }

  private static func mayBeList(_ path: String) -> Bool {
    switch ending(of: path).lowercased() {
    case "csv", "tsv", "json", "xml": true
    case "txt": Part(ofListAt: path) != nil || Part(name: lastPart(of: folder(of: path))) != nil
    default: false
    }
  }

  /// Whether what seems to be a list of labels lies where such are looked for.
  private var hasLabels: Bool {
    let index = PictureIndex(pictures)
    return others.contains { path in
      ["csv", "tsv"].contains(ending(of: path).lowercased()) && FoundLists.isListFolder(folder(of: path))
        && ListOpening(of: path, tree: self, index: index).kinds.contains(.labels)
    }
  }
}
