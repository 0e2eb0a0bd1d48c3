import Failures

/// What is in an HDF5 file.
struct HDF5Listing: Codable, Equatable, Sendable {
  let attributes: [String: HDF5Attribute]
  /// Full names, the root among them.
  let groups: [String]
  /// In the order of their names.
  let datasets: [HDF5Dataset]
}

extension HDF5File {
  /// Groups in groups; ours have two.
  private static let deepest = 16
  private static let mostObjects = 1 << 17

  /// Goes through the whole file without reading a value of its data sets.
  ///
  /// - Throws: `Failure` 65 where groups are nested without end, as by a link to themselves, where an object is
  ///   neither a group nor a data set of ours, or where it lies in another file.
  func listing() throws -> HDF5Listing {
    var groups: [String] = []
    var datasets: [HDF5Dataset] = []
    var seen = 0
    func list(_ group: String, depth: Int) throws {
      guard depth <= Self.deepest else {
        throw bad("groups are nested deeper than \(Self.deepest) at \(group.prefix(80))…, as by a loop")
      }
      groups.append(group)
      for (name, isExternal) in try links(in: group) ?? [] {
        seen += 1
        guard seen <= Self.mostObjects else { throw bad("holds more than \(Self.mostObjects) objects") }
        let full = group == "/" ? "/\(name)" : "\(group)/\(name)"
        guard !isExternal else { throw bad("\(full) is a link into another file, which is not followed") }
        if isGroup(full) { try list(full, depth: depth + 1) } else { datasets.append(try dataset(full)) }
      }
    }
    try list("/", depth: 0)
    let attributes = try attributes()
    if let virtual = datasets.first(where: { $0.parts != nil }), attributes["format"] != .text(CacheFingerprint.format)
    {
      throw bad("data set \(virtual.name) is virtual: its values lie in other files, which are not followed")
    }
    return HDF5Listing(attributes: attributes, groups: groups, datasets: datasets)
  }
}
