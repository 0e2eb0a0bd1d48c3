import CHDF5
import Failures
import Foundation

/// HDF5 files through the C library; every failed call becomes a `Failure` that names the file. Files may be used from any
/// thread, one file by one thread at a time: the library, which need not be built for threads, is entered by one at a time.

/// Whose turn it is in the C library. Every function below that others may call stands between `enter` and `leave`, and
/// nothing else calls the library; they may call each other. A data set is the most that is read or written in a turn.
private enum HDF5Library {
  private static let turn = NSRecursiveLock()

  static func enter() { turn.lock() }
  static func leave() { turn.unlock() }
}

/// The element types that our files hold, all little-endian.
public enum HDF5Type: String, Sendable {
  case float16
  case float32
  case float64
  case uint8
  case int32
  case uint32
  case int64

  public var bytes: Int {
    switch self {
    case .uint8: 1
    case .float16: 2
    case .float32, .int32, .uint32: 4
    case .float64, .int64: 8
    }
  }

  /// Runs `body` with the library's handle of the type.
  fileprivate func with<Result>(_ body: (hid_t) throws -> Result) rethrows -> Result {
    switch self {
    case .float16:
      let type = ala_h5_make_float16()
      defer { H5Tclose(type) }
      return try body(type)
    case .float32: return try body(ala_h5_float32())
    case .float64: return try body(ala_h5_float64())
    case .uint8: return try body(ala_h5_uint8())
    case .int32: return try body(ala_h5_int32())
    case .uint32: return try body(ala_h5_uint32())
    case .int64: return try body(ala_h5_int64())
    }
  }

  /// The type of a data set in a file; nil for what our files never hold.
  fileprivate init?(_ type: hid_t) {
    let size = H5Tget_size(type)
    switch (H5Tget_class(type), size) {
    case (H5T_FLOAT, 2): self = .float16
    case (H5T_FLOAT, 4): self = .float32
    case (H5T_FLOAT, 8): self = .float64
    case (H5T_INTEGER, 1): self = .uint8
    case (H5T_INTEGER, 4): self = H5Tget_sign(type) == H5T_SGN_NONE ? .uint32 : .int32
    case (H5T_INTEGER, 8): self = .int64
    default: return nil
    }
  }
}

/// An attribute's value.
public enum HDF5Attribute: Equatable, Sendable {
  /// Variable-length UTF-8.
  case text(String)
  case integer(Int64)
  case number(Double)
}

/// What is known of a data set without reading it.
public struct HDF5Dataset: Equatable, Sendable {
  public let name: String
  public let shape: [Int]
  public let type: HDF5Type
  /// Where its bytes begin in the file, if they lie in one piece.
  public let offset: Int?
}

public final class HDF5File {
  /// For messages.
  public let path: String
  private var file: hid_t

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
  private static func message() -> String {
    var text = [CChar](repeating: 0, count: 400)
    ala_h5_message(&text)
    let whole = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let start = whole.range(of: "error message = '")?.upperBound else { return whole }
    return String(whole[start...].prefix { $0 != "'" })
  }

  private func writing(_ what: String, _ status: Int) throws {
    guard status >= 0 else { throw Failure.cannotWrite("\(path): \(what) cannot be written: \(Self.message())") }
  }

  private func bad(_ what: String) -> Failure { Failure.badData("\(path): \(what)") }

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
    let address = H5Dget_offset(dataset)
    return HDF5Dataset(
      name: name, shape: extents.prefix(rank).map { Int($0) }, type: own,
      offset: address == ala_h5_undefined_address() ? nil : Int(address))
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

  /// A whole data set of at most `mostBytes`.
  public func readArray<Element>(_ name: String, _ type: HDF5Type, of: Element.Type) throws -> [Element] {
    let dataset = try dataset(name)
    let count = try elements(dataset)
    return try [Element](unsafeUninitializedCapacity: max(count, 1)) { buffer, initialized in
      if let base = buffer.baseAddress { try read(name, type, into: base) }
      initialized = count
    }
  }

  private func elements(_ dataset: HDF5Dataset) throws -> Int {
    var count = 1
    for extent in dataset.shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      guard !overflow, product < 1 << 38 else { throw bad("data set \(dataset.name) has an impossible shape") }
      count = product
    }
    return count
  }

  /// The names in a group, in byte order; nil where there is no such group.
  public func names(in group: String) -> [String]? {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    guard group == "/" || exists(group) else { return nil }
    let handle = H5Gopen2(file, group, ala_h5p_default())
    guard handle >= 0 else { return nil }
    defer { H5Gclose(handle) }
    final class Collector { var names: [String] = [] }
    let collector = Collector()
    ala_h5_each_link(
      handle,
      { context, name in
        guard let context, let name else { return }
        Unmanaged<Collector>.fromOpaque(context).takeUnretainedValue().names.append(String(cString: name))
      }, Unmanaged.passUnretained(collector).toOpaque())
    return collector.names
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

  // MARK: Attributes of the root

  public func write(_ attributes: [(name: String, value: HDF5Attribute)]) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    for (name, value) in attributes {
      switch value {
      case .integer(var integer): try writeAttribute(name, ala_h5_int64(), &integer)
      case .number(var number): try writeAttribute(name, ala_h5_float64(), &number)
      case .text(let text):
        let type = Self.textType()
        defer { H5Tclose(type) }
        try text.withCString { pointer in
          var pointer: UnsafePointer<CChar>? = pointer
          try writeAttribute(name, type, &pointer)
        }
      }
    }
  }

  private static func textType() -> hid_t {
    let type = H5Tcopy(ala_h5_c_string())
    H5Tset_size(type, ala_h5_variable())
    H5Tset_cset(type, H5T_CSET_UTF8)
    return type
  }

  private func writeAttribute(_ name: String, _ type: hid_t, _ value: UnsafeRawPointer) throws {
    let space = H5Screate(H5S_SCALAR)
    defer { H5Sclose(space) }
    let attribute = H5Acreate2(file, name, type, space, ala_h5p_default(), ala_h5p_default())
    try writing("attribute \(name)", Int(attribute))
    defer { H5Aclose(attribute) }
    try writing("attribute \(name)", Int(H5Awrite(attribute, type, value)))
  }

  /// All attributes of the root that are of our kinds.
  public func attributes() throws -> [String: HDF5Attribute] {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    let root = H5Oopen(file, "/", ala_h5p_default())
    guard root >= 0 else { throw bad("has no root group") }
    defer { H5Oclose(root) }
    var result: [String: HDF5Attribute] = [:]
    let count = H5Aget_num_attrs(root)
    guard count >= 0, count < 1024 else { throw bad("has \(count) attributes") }
    for index in 0..<UInt32(count) {
      let attribute = H5Aopen_by_idx(
        root, ".", H5_INDEX_NAME, H5_ITER_INC, hsize_t(index), ala_h5p_default(), ala_h5p_default())
      guard attribute >= 0 else { throw bad("attribute \(index) cannot be read") }
      defer { H5Aclose(attribute) }
      var name = [CChar](repeating: 0, count: 256)
      H5Aget_name(attribute, name.count, &name)
      let key = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if let value = try value(of: attribute) { result[key] = value }
    }
    return result
  }

  private func value(of attribute: hid_t) throws -> HDF5Attribute? {
    let type = H5Aget_type(attribute)
    defer { H5Tclose(type) }
    let space = H5Aget_space(attribute)
    defer { H5Sclose(space) }
    guard H5Sget_simple_extent_npoints(space) == 1 else { return nil }
    switch H5Tget_class(type) {
    case H5T_INTEGER:
      var value: Int64 = 0
      guard H5Aread(attribute, ala_h5_int64(), &value) >= 0 else { return nil }
      return .integer(value)
    case H5T_FLOAT:
      var value = 0.0
      guard H5Aread(attribute, ala_h5_float64(), &value) >= 0 else { return nil }
      return .number(value)
    case H5T_STRING where H5Tis_variable_str(type) > 0:
      var pointer: UnsafeMutablePointer<CChar>?
      let text = Self.textType()
      defer { H5Tclose(text) }
      guard H5Aread(attribute, text, &pointer) >= 0, let pointer else { return nil }
      defer { H5free_memory(pointer) }
      return .text(String(cString: pointer))
    default: return nil
    }
  }

  // MARK: Virtual data sets

  /// One run of rows that a virtual data set takes from another file of the same folder.
  struct VirtualRows {
    let file: String
    let fileRows: Int
    let firstSource: Int
    let firstTarget: Int
    let count: Int
  }

  /// Makes a data set whose rows lie in other files' data sets of the same name.
  func makeVirtualDataset(_ name: String, _ type: HDF5Type, shape: [Int], _ parts: [VirtualRows]) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    try type.with { type in
      let extents = shape.map { hsize_t($0) }
      let space = H5Screate_simple(Int32(extents.count), extents, nil)
      defer { H5Sclose(space) }
      let properties = H5Pcreate(ala_h5p_dataset_create())
      defer { H5Pclose(properties) }
      for part in parts {
        var sourceExtents = extents
        sourceExtents[0] = hsize_t(part.fileRows)
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
