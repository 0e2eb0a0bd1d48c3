/// Pictures by the names that lists give them: whole paths, and their last parts.
struct PictureIndex {
  enum Match: Equatable {
    case none
    case one(Int)
    case several([Int])
  }

  /// Swift calls names equal that differ in how Unicode writes them alone, which is what a list needs: it may have been
  /// written on another system than the files.
  private var byPath: [String: [Int]] = [:]
  private var bySuffix: [String: [Int]] = [:]
  private var folderNames: Set<Substring> = []
  private let paths: [String]
  private let prefix: String
  private let parts: [Part?]

  /// - Parameters:
  ///   - paths: relative to the folder of images.
  ///   - prefix: between the root and that folder.
  ///   - parts: of the set, of each picture; empty where that is not asked for.
  init(_ paths: [String], prefix: String = "", parts: [Part?] = []) {
    (self.paths, self.prefix, self.parts) = (paths, prefix, parts)
    for (number, path) in paths.enumerated() {
      byPath[path, default: []].append(number)
      var rest = path.split(separator: "/")[...]
      folderNames.formUnion(rest.dropLast())
      while !rest.isEmpty {
        let end = rest.joined(separator: "/")
        for name in Set([end, stem(of: end)]) { bySuffix[name, default: []].append(number) }
        rest = rest.dropFirst()
      }
    }
  }

  /// The picture of a name.
  ///
  /// - Parameters:
  ///   - folder: of the list, relative to the root: nil where it lies outside.
  ///   - byLastParts: also as the end of a path, with or without its ending, and without the name's first folders, as
  ///     far as they are none of the pictures' own.
  ///   - part: of several pictures, those of this part come first: of the list `instances_train.json`, those that train.
  func find(_ name: String, listedIn folder: String?, byLastParts: Bool, preferring part: Part? = nil) -> Match {
    let spellings = name.contains("\\") ? [name, name.replacing("\\", with: "/")] : [name]
    for spelling in spellings {
      let places = [spelling] + (folder.map { $0.isEmpty ? [] : ["\($0)/\(spelling)"] } ?? [])
      for place in places.compactMap(simplified) {
        let below = prefix.isEmpty || !place.hasPrefix("\(prefix)/") ? place : String(place.dropFirst(prefix.count + 1))
        for path in below == place ? [place] : [below, place] {
          if let found = byPath[path] { return match(found, spelled: path) }
        }
      }
      guard byLastParts, var rest = simplified(spelling)?.split(separator: "/")[...] else { continue }
      while let first = rest.first {
        if let found = bySuffix[rest.joined(separator: "/")] { return match(preferred(found, part), spelled: nil) }
        if rest.count > 1, folderNames.contains(first) { break }
        rest = rest.dropFirst()
      }
    }
    return .none
  }

  private func preferred(_ found: [Int], _ part: Part?) -> [Int] {
    let own = part == nil || parts.isEmpty ? [] : found.filter { parts[$0] == part }
    return own.isEmpty ? found : own
  }

  private func match(_ found: [Int], spelled path: String?) -> Match {
    if found.count == 1 { return .one(found[0]) }
    if let path, let exact = found.first(where: { isSame(paths[$0], path) }) { return .one(exact) }
    return .several(found)
  }
}
