import CHDF5
import Failures
import Foundation

/// HDF5 files through the C library; every failed call becomes a `Failure` that names the file. Files may be used from any
/// thread, one file by one thread at a time: the library, which need not be built for threads, is entered by one at a time.

public final class HDF5File: HDF5Reading {
  /// For messages.
  public let path: String
  var file: hid_t

  private init(path: String, file: hid_t) {
    self.path = path
    self.file = file
  }

  deinit {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    if file >= 0 { H5Fclose(file) }
  }

  /// Makes a new file.
  ///
  /// - Parameters:
  ///   - name: what messages call the file, where `path` is a temporary name.
  ///   - userBlock: bytes before HDF5's own, a power of two from 512, or 0.
  ///   - usesLatest: newer features of the format, such as virtual data sets; else readable since HDF5 1.8.
  public static func create(
    _ path: String, for name: String? = nil, userBlock: Int = 0, usesLatest: Bool = false
  ) throws -> HDF5File {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    ala_h5_be_quiet()
    let creation = H5Pcreate(ala_h5p_file_create())
    defer { H5Pclose(creation) }
    // Equal contents give equal files.
    H5Pset_obj_track_times(creation, false)
    if userBlock > 0 { H5Pset_userblock(creation, hsize_t(userBlock)) }
    let access = H5Pcreate(ala_h5p_file_access())
    defer { H5Pclose(access) }
    if !usesLatest { H5Pset_libver_bounds(access, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18) }
    var file = H5Fcreate(path, ala_h5_truncate(), creation, access)
    if file < 0, isWithoutLocks(path) {
      H5Pset_file_locking(access, false, true)
      file = H5Fcreate(path, ala_h5_truncate(), creation, access)
    }
    guard file >= 0 else { throw Failure.cannotWrite("\(name ?? path): cannot be made: \(message())") }
    return HDF5File(path: name ?? path, file: file)
  }

  /// Opens a file for reading.
  ///
  /// - Throws: `Failure` 66 where there is none, 65 where it is no sound HDF5 file, 69 where somebody holds its lock.
  public static func open(_ path: String) throws -> HDF5File {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    ala_h5_be_quiet()
    guard FileManager.default.fileExists(atPath: path) else { throw Failure.missingInput("\(path): is missing") }
    let access = H5Pcreate(ala_h5p_file_access())
    defer { H5Pclose(access) }
    var file = H5Fopen(path, ala_h5_read_only(), access)
    let reason = message()
    if file < 0, isWithoutLocks(path) {
      H5Pset_file_locking(access, false, true)
      file = H5Fopen(path, ala_h5_read_only(), access)
    }
    guard file >= 0 else {
      try checkUnlocked(path)
      throw Failure.badData("\(path): is no sound HDF5 file: \(reason)")
    }
    return HDF5File(path: path, file: file)
  }

  /// Whether the library must do without its lock, for the file system has none.
  private static func isWithoutLocks(_ path: String) -> Bool {
    if case .unsupported = FileLock.outcomeForReader(of: path) { true } else { false }
  }

  /// - Throws: `Failure` 69 where another program has the file open for writing.
  static func checkUnlocked(_ path: String) throws {
    let usesLocks = ProcessInfo.processInfo.environment["HDF5_USE_FILE_LOCKING"] != "FALSE"
    guard usesLocks, FileLock.outcomeForReader(of: path) == .taken else { return }
    throw Failure.unavailable(
      "\(path): is locked: another program has it open for writing. Close it there, or set HDF5_USE_FILE_LOCKING=FALSE if nothing writes to it"
    )
  }

  /// The deepest reason of the last failed call; of a failed read or write, the system's own words.
  static func message() -> String {
    var text = [CChar](repeating: 0, count: 400)
    ala_h5_message(&text)
    let whole = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let start = whole.range(of: "error message = '")?.upperBound else { return whole }
    return String(whole[start...].prefix { $0 != "'" })
  }

  func writing(_ what: String, _ status: Int) throws {
    guard status >= 0 else { throw Failure.cannotWrite("\(path): \(what) cannot be written: \(Self.message())") }
  }

  func bad(_ what: String) -> Failure { Failure.badData("\(path): \(what)") }

  /// Writes out what is pending and closes.
  public func close() throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    guard file >= 0 else { return }
    // The first fault is the one to tell of; closing after it only adds its own.
    let flushed = H5Fflush(file, H5F_SCOPE_GLOBAL)
    let reason = Self.message()
    let closed = H5Fclose(file)
    file = -1
    guard flushed >= 0 else { throw Failure.cannotWrite("\(path): its end cannot be written: \(reason)") }
    try writing("its end", Int(closed))
  }

  // MARK: Groups and data sets

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
  public func names(in group: String) -> [String]? { links(in: group)?.map(\.name) }

  /// A group's links, in the names' byte order; nil where there is no such group.
  func links(in group: String) -> [(name: String, isExternal: Bool)]? {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    guard group == "/" || exists(group) else { return nil }
    let handle = H5Gopen2(file, group, ala_h5p_default())
    guard handle >= 0 else { return nil }
    defer { H5Gclose(handle) }
    final class Collector { var links: [(name: String, isExternal: Bool)] = [] }
    let collector = Collector()
    ala_h5_each_link(
      handle,
      { context, name, type in
        guard let context, let name else { return }
        Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue().links.append(
          (String(cString: name), ala_h5_is_external(type) != 0))
      }, Unmanaged.passUnretained(collector).toOpaque())
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

  private func exists(_ path: String) -> Bool {
    var partial = ""
    for part in path.split(separator: "/") {
      partial += "/\(part)"
      if H5Lexists(file, partial, ala_h5p_default()) <= 0 { return false }
    }
    return true
  }

  /// Makes sure that no file leads the library to another one; before any file is opened.
  static func confine() {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    ala_h5_be_quiet()
    ala_h5_confine()
  }

  /// Whether calls from several threads at once would be safe; ours never are.
  public static var isThreadSafe: Bool {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    var answer: hbool_t = false
    return H5is_library_threadsafe(&answer) >= 0 && answer
  }

  /// "1.10.8".
  public static func libraryVersion() -> String {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    ala_h5_begin()
    var version: (UInt32, UInt32, UInt32) = (0, 0, 0)
    H5get_libversion(&version.0, &version.1, &version.2)
    return "\(version.0).\(version.1).\(version.2)"
  }
}
