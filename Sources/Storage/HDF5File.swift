import CHDF5
import Failures
import Files
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
    guard file >= 0 else { throw unwritten("\(name ?? path): cannot be made") }
    return HDF5File(path: name ?? path, file: file)
  }

  /// Opens a file for reading.
  ///
  /// - Throws: `Failure` 66 where there is none or it cannot be read, 65 where it is no sound HDF5 file, 69 where somebody
  ///   holds its lock, or for want of memory or descriptors.
  public static func open(_ path: String) throws -> HDF5File {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    ala_h5_be_quiet()
    // The library would wait for a FIFO.
    Foundation.close(try openRegularFile(path).descriptor)
    let access = H5Pcreate(ala_h5p_file_access())
    defer { H5Pclose(access) }
    var file = H5Fopen(path, ala_h5_read_only(), access)
    var (reason, number) = (message(), systemNumber())
    if file < 0, isWithoutLocks(path) {
      H5Pset_file_locking(access, false, true)
      file = H5Fopen(path, ala_h5_read_only(), access)
      (reason, number) = (message(), systemNumber())
    }
    guard file >= 0 else {
      try checkUnlocked(path)
      if let number { throw Failure.ofCall(.missingInput, "\(path): cannot be read", number) }
      throw Failure.badData("\(path): is no sound HDF5 file: \(reason)")
    }
    return HDF5File(path: path, file: file)
  }

  /// Whether the library must do without its lock, for the file system has none.
  private static func isWithoutLocks(_ path: String) -> Bool {
    if case .unsupported? = FileLock.outcomeForReader(of: path) { true } else { false }
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
    let whole = wholeMessage()
    guard let start = whole.range(of: "error message = '")?.upperBound else { return whole }
    return String(whole[start...].prefix { $0 != "'" })
  }

  private static func wholeMessage() -> String {
    var text = [CChar](repeating: 0, count: Int(ALA_H5_MESSAGE))
    ala_h5_message(&text)
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// Of those that a damaged file itself brings about, by places that no file has or names that lead nowhere.
  private static let numbersOfFaults: Set<Int32> = [0, EINVAL, EOVERFLOW, EFBIG, EFAULT, ENOENT]

  /// The number (`errno`) of a call of the system's for which the last call has failed; nil where there was none, or where
  /// the file is to blame.
  private static func systemNumber() -> Int32? {
    let whole = wholeMessage()
    guard let start = whole.range(of: "errno = ", options: .backwards)?.upperBound,
      let number = Int32(whole[start...].prefix { $0.isNumber })
    else { return nil }
    return numbersOfFaults.contains(number) ? nil : number
  }

  private static func unwritten(_ what: String) -> Failure {
    systemNumber().map { Failure.ofCall(.cannotWrite, what, $0) } ?? .cannotWrite("\(what): \(message())")
  }

  func writing(_ what: String, _ status: Int) throws {
    guard status >= 0 else { throw Self.unwritten("\(path): \(what) cannot be written") }
  }

  /// What is wrong with the file; where the last call could not read it, that, for it says nothing of what is in it.
  func bad(_ what: String) -> Failure {
    Self.systemNumber().map { Failure.ofCall(.missingInput, "\(path): cannot be read", $0) }
      ?? .badData("\(path): \(what)")
  }

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
