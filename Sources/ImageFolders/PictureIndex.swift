/// Pictures by the names that lists give them: whole paths, and what stands behind the last slash.
struct PictureIndex {
  enum Match: Equatable {
    case none
    case one(Int)
    case several([Int])
  }

  /// Swift calls names equal that differ in how Unicode writes them alone, which is what a list needs: it may have been
  /// written on another system than the files.
  private var byPath: [String: [Int]] = [:]
  private var byName: [String: [Int]] = [:]
  private let paths: [String]
  private let prefix: String

  /// - Parameters:
  ///   - paths: relative to the folder of images.
  ///   - prefix: between the root and that folder.
  init(_ paths: [String], prefix: String = "") {
    (self.paths, self.prefix) = (paths, prefix)
    for (number, path) in paths.enumerated() {
      byPath[path, default: []].append(number)
      byName[lastPart(of: path), default: []].append(number)
    }
  }

  /// The picture of a name.
  ///
  /// - Parameters:
  ///   - folder: of the list, relative to the root: nil where it lies outside.
  ///   - byLastPart: also by the name alone, where no path fits.
  func find(_ name: String, listedIn folder: String?, byLastPart: Bool) -> Match {
    let spellings = name.contains("\\") ? [name, name.replacing("\\", with: "/")] : [name]
    for spelling in spellings {
      let places = [spelling] + (folder.map { $0.isEmpty ? [] : ["\($0)/\(spelling)"] } ?? [])
      for place in places.compactMap(simplified) {
        let below = prefix.isEmpty || !place.hasPrefix("\(prefix)/") ? place : String(place.dropFirst(prefix.count + 1))
        for path in below == place ? [place] : [below, place] {
          if let found = byPath[path] { return match(found, spelled: path) }
        }
      }
      if byLastPart, let found = byName[lastPart(of: spelling)] { return match(found, spelled: nil) }
    }
    return .none
  }

  private func match(_ found: [Int], spelled path: String?) -> Match {
    if found.count == 1 { return .one(found[0]) }
    if let path, let exact = found.first(where: { isSame(paths[$0], path) }) { return .one(exact) }
    return .several(found)
  }
}
