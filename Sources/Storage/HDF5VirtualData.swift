import CHDF5
import Failures

/// Data sets whose rows lie in other files: the index of a cache over its shards.
extension HDF5File {
  /// Makes a data set whose rows lie in other files' data sets of the same name.
  func makeVirtualDataset(_ name: String, _ type: HDF5Type, shape: [Int], _ parts: [HDF5VirtualRows]) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    try type.with { type in
      let extents = shape.map { hsize_t($0) }
      let space = H5Screate_simple(Int32(extents.count), extents, nil)
      defer { H5Sclose(space) }
      let properties = H5Pcreate(ala_h5p_dataset_create())
      defer { H5Pclose(properties) }
      H5Pset_obj_track_times(properties, false)
      for part in parts {
        var sourceExtents = extents
        // The other file may have more rows; these are all that the library keeps.
        sourceExtents[0] = hsize_t(part.firstSource + part.count)
        let source = H5Screate_simple(Int32(extents.count), sourceExtents, nil)
        defer { H5Sclose(source) }
        var count = extents
        count[0] = hsize_t(part.count)
        var start = [hsize_t](repeating: 0, count: extents.count)
        start[0] = hsize_t(part.firstSource)
        H5Sselect_hyperslab(source, H5S_SELECT_SET, start, nil, count, nil)
        start[0] = hsize_t(part.firstTarget)
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nil, count, nil)
        try writing("data set \(name)", Int(H5Pset_virtual(properties, space, part.file, name, source)))
      }
      H5Sselect_all(space)
      let dataset = H5Dcreate2(file, name, type, space, ala_h5p_default(), properties, ala_h5p_default())
      try writing("data set \(name)", Int(dataset))
      H5Dclose(dataset)
    }
  }

  /// Where a virtual data set's rows lie.
  ///
  /// - Throws: `Failure` 65 for any other mapping than whole rows of the data set of the same name in a file beside.
  func virtualRows(_ properties: hid_t, _ name: String, rank: Int) throws -> [HDF5VirtualRows] {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    var count = 0
    guard H5Pget_virtual_count(properties, &count) >= 0 else { throw bad("data set \(name) cannot be read") }
    return try (0..<count).map { index in
      let file = Self.text { H5Pget_virtual_filename(properties, index, $0, $1) }
      let source = Self.text { H5Pget_virtual_dsetname(properties, index, $0, $1) }
      let here = H5Pget_virtual_vspace(properties, index)
      defer { H5Sclose(here) }
      let there = H5Pget_virtual_srcspace(properties, index)
      defer { H5Sclose(there) }
      guard let file, let source, !file.contains("/"), FeatureCache.isShardName(file),
        source == name || "/\(source)" == name
      else {
        throw bad(
          "data set \(name) is virtual and takes values from \(file ?? "?"), which is no shard of a cache beside it")
      }
      guard let target = Self.rows(here, rank: rank), let origin = Self.rows(there, rank: rank),
        target.count == origin.count
      else { throw bad("data set \(name) is virtual, and not of whole rows") }
      return HDF5VirtualRows(
        file: file, firstSource: origin.lowerBound, firstTarget: target.lowerBound, count: target.count)
    }
  }

  /// A text of the library's, which is asked first for its length and then for itself.
  private static func text(_ get: (UnsafeMutablePointer<CChar>?, Int) -> Int) -> String? {
    let length = get(nil, 0)
    guard (0...4096).contains(length) else { return nil }
    var bytes = [CChar](repeating: 0, count: length + 1)
    guard get(&bytes, bytes.count) >= 0 else { return nil }
    return String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// The rows that a selection takes whole; nil where it is any other selection.
  private static func rows(_ space: hid_t, rank: Int) -> Range<Int>? {
    var extents = [hsize_t](repeating: 0, count: max(rank, 1))
    guard rank > 0, H5Sget_simple_extent_ndims(space) == rank, H5Sget_simple_extent_dims(space, &extents, nil) >= 0
    else { return nil }
    var (first, last) = (extents, extents)
    guard H5Sget_select_bounds(space, &first, &last) >= 0, first[0] <= last[0], last[0] < extents[0],
      first.dropFirst().allSatisfy({ $0 == 0 }), zip(last, extents).dropFirst().allSatisfy({ $0 + 1 == $1 }),
      let begin = Int(exactly: first[0]), let end = Int(exactly: last[0])
    else { return nil }
    var points = hssize_t(end - begin + 1)
    for extent in extents.dropFirst() {
      let (product, overflow) = points.multipliedReportingOverflow(by: hssize_t(truncatingIfNeeded: extent))
      guard !overflow else { return nil }
      points = product
    }
    guard H5Sget_select_npoints(space) == points else { return nil }
    return begin..<(end + 1)
  }
}
