import Failures

extension HDF5File {
  /// Groups in groups; ours have two.
  private static let deepest = 16
  private static let mostObjects = 1 << 20
  /// Of a piece that is read at a visit.
  private static let mostBytes = 1 << 32

  /// The full names of all data sets, in the order of their names.
  ///
  /// - Throws: `Failure` 65 where groups are nested without end, as by a link to themselves, or where an object is
  ///   neither a group nor a data set of ours.
  func everything() throws -> [HDF5Dataset] {
    var found: [HDF5Dataset] = []
    var seen = 0
    func list(_ group: String, depth: Int) throws {
      guard depth <= Self.deepest else {
        throw Failure.badData(
          "\(path): groups are nested deeper than \(Self.deepest) at \(group.prefix(80))…, as by a loop")
      }
      for name in names(in: group) ?? [] {
        seen += 1
        guard seen <= Self.mostObjects else {
          throw Failure.badData("\(path): holds more than \(Self.mostObjects) objects")
        }
        let full = group == "/" ? "/\(name)" : "\(group)/\(name)"
        if isGroup(full) { try list(full, depth: depth + 1) } else { found.append(try dataset(full)) }
      }
    }
    try list("/", depth: 0)
    return found
  }

  /// Reads a data set whole and forgets it.
  func visit(_ dataset: HDF5Dataset) throws {
    var bytes = dataset.type.bytes
    for extent in dataset.shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= Self.mostBytes else {
        // Caches are larger, and are read row by row, at their places in the file.
        guard dataset.offset != nil else {
          throw Failure.badData(
            "\(path): data set \(dataset.name) of shape \(dataset.shape) is larger than any of ours")
        }
        return
      }
      bytes = product
    }
    let room = UnsafeMutableRawPointer.allocate(byteCount: max(bytes, 1), alignment: 64)
    defer { room.deallocate() }
    try read(dataset.name, dataset.type, into: room)
  }
}
