import CHDF5
import Failures

/// Groups and data sets.
extension HDF5File {
  public func makeGroup(_ name: String) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    let group = H5Gcreate2(file, name, ala_h5p_default(), ala_h5p_default(), ala_h5p_default())
    try writing("group \(name)", Int(group))
    H5Gclose(group)
  }

  /// Makes a contiguous data set whose room is taken at once; its bytes are zero until they are written.
  public func makeDataset(_ name: String, _ type: HDF5Type, shape: [Int]) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    try type.with { type in
      let extents = shape.map { hsize_t($0) }
      let space = extents.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(extents.count), extents, nil)
      defer { H5Sclose(space) }
      let properties = H5Pcreate(ala_h5p_dataset_create())
      defer { H5Pclose(properties) }
      H5Pset_layout(properties, H5D_CONTIGUOUS)
      H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY)
      H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER)
      // Equal contents give equal files.
      H5Pset_obj_track_times(properties, false)
      let dataset = H5Dcreate2(file, name, type, space, ala_h5p_default(), properties, ala_h5p_default())
      try writing("data set \(name)", Int(dataset))
      H5Dclose(dataset)
    }
  }

  /// Writes a whole data set.
  public func write(_ name: String, _ type: HDF5Type, _ values: UnsafeRawPointer) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    try type.with { type in
      let dataset = H5Dopen2(file, name, ala_h5p_default())
      try writing("data set \(name)", Int(dataset))
      defer { H5Dclose(dataset) }
      try writing(
        "data set \(name)",
        Int(H5Dwrite(dataset, type, ala_h5s_all(), ala_h5s_all(), ala_h5p_default(), values)))
    }
  }

  /// What a data set is.
  public func dataset(_ name: String) throws -> HDF5Dataset {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    let dataset = H5Dopen2(file, name, ala_h5p_default())
    guard dataset >= 0 else { throw bad("data set \(name) is missing") }
    defer { H5Dclose(dataset) }
    let type = H5Dget_type(dataset)
    defer { H5Tclose(type) }
    let space = H5Dget_space(dataset)
    defer { H5Sclose(space) }
    let rank = Int(H5Sget_simple_extent_ndims(space))
    guard let own = HDF5Type(type), (0...8).contains(rank) else {
      throw bad("data set \(name) has a type or a number of dimensions that none of our files has")
    }
    var extents = [hsize_t](repeating: 0, count: max(rank, 1))
    H5Sget_simple_extent_dims(space, &extents, nil)
    let isPlain = own.with { H5Tequal(type, $0) > 0 }
    let address = H5Dget_offset(dataset)
    let properties = H5Dget_create_plist(dataset)
    defer { H5Pclose(properties) }
    guard H5Pget_external_count(properties) <= 0 else {
      throw bad("data set \(name) keeps its values in another file, which is not followed")
    }
    let shape = try extents.prefix(rank).map { extent in
      guard let count = Int(exactly: extent) else { throw bad("data set \(name) has an impossible shape") }
      return count
    }
    return HDF5Dataset(
      name: name, shape: shape, type: own,
      offset: isPlain && address != ala_h5_undefined_address() ? Int(exactly: address) : nil,
      parts: H5Pget_layout(properties) == H5D_VIRTUAL ? try virtualRows(properties, name, rank: rank) : nil)
  }

  /// Reads a whole data set as `type` (the library converts) into room for all its elements.
  public func read(_ name: String, _ type: HDF5Type, into values: UnsafeMutableRawPointer) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    try type.with { type in
      let dataset = H5Dopen2(file, name, ala_h5p_default())
      guard dataset >= 0 else { throw bad("data set \(name) is missing") }
      defer { H5Dclose(dataset) }
      guard H5Dread(dataset, type, ala_h5s_all(), ala_h5s_all(), ala_h5p_default(), values) >= 0 else {
        throw bad("data set \(name) cannot be read: \(Self.message())")
      }
    }
  }

  /// A whole data set as values of `type`.
  public func readArray<Element>(_ name: String, _ type: HDF5Type, of: Element.Type) throws -> [Element] {
    let dataset = try dataset(name)
    guard let bytes = dataset.byteCount(as: type) else { throw bad("data set \(name) has an impossible shape") }
    let count = bytes / type.bytes
    return try [Element](unsafeUninitializedCapacity: max(count, 1)) { buffer, initialized in
      if let base = buffer.baseAddress { try read(name, type, into: base) }
      initialized = count
    }
  }

  /// The names in a group, in byte order; nil where there is no such group.
  ///
  /// - Throws: as `links`.
  public func names(in group: String) throws -> [String]? { try links(in: group)?.map(\.name) }

  /// A group's links, in the names' byte order; nil where there is no such group.
  ///
  /// - Throws: `Failure` 65 or 66 where it cannot be listed.
  func links(in group: String) throws -> [(name: String, isExternal: Bool)]? {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    guard try group == "/" || exists(group) else { return nil }
    let handle = H5Gopen2(file, group, ala_h5p_default())
    guard handle >= 0 else { throw bad("group \(group) cannot be opened: \(Self.message())") }
    defer { H5Gclose(handle) }
    final class Collector { var links: [(name: String, isExternal: Bool)] = [] }
    let collector = Collector()
    let status = ala_h5_each_link(
      handle,
      { context, name, type in
        guard let context, let name else { return }
        Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue().links.append(
          (String(cString: name), ala_h5_is_external(type) != 0))
      }, Unmanaged.passUnretained(collector).toOpaque())
    guard status >= 0 else { throw bad("group \(group) cannot be listed: \(Self.message())") }
    return collector.links
  }

  func isGroup(_ name: String) -> Bool {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    let handle = H5Gopen2(file, name, ala_h5p_default())
    guard handle >= 0 else { return false }
    H5Gclose(handle)
    return true
  }

  private func exists(_ path: String) throws -> Bool {
    var partial = ""
    for part in path.split(separator: "/") {
      partial += "/\(part)"
      let answer = H5Lexists(file, partial, ala_h5p_default())
      guard answer >= 0 else { throw bad("group \(path) cannot be looked for: \(Self.message())") }
      if answer == 0 { return false }
    }
    return true
  }
}
