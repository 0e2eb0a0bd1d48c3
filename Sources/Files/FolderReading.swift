import Failures
import Foundation

/// What lies in a folder, by name and in the system's order.
///
/// - Returns: the names but `.` and `..`; those that are no UTF-8, by their bytes (`caf\xe9.jpg`): no text leads to them.
/// - Throws: `Failure` 66 where the folder cannot be read, 69 for want of memory or descriptors.
public func readFolder(_ path: String) throws -> (names: [String], notUTF8: [String]) {
  guard let handle = opendir(path) else {
    throw Failure.ofCall(.missingInput, "\(path): this folder cannot be read")
  }
  defer { closedir(handle) }
  var (names, notUTF8) = ([String](), [String]())
  errno = 0
  while let entry = readdir(handle) {
    withUnsafeBytes(of: &entry.pointee.d_name) { buffer in
      let bytes = buffer.prefix { $0 != 0 }
      guard let name = String(validating: bytes, as: UTF8.self) else { return notUTF8.append(escapingBytes(bytes)) }
      if name != "." && name != ".." { names.append(name) }
    }
    errno = 0
  }
  guard errno == 0 else { throw Failure.ofCall(.missingInput, "\(path): this folder cannot be read") }
  return (names, notUTF8)
}

/// The names of UTF-8 in a folder; none where there is no such folder.
///
/// - Throws: as `readFolder`, where it is there.
public func names(inFolder path: String) throws -> [String] {
  var status = stat()
  let isThere = stat(path, &status) == 0 ? status.st_mode & S_IFMT == S_IFDIR : ![ENOENT, ENOTDIR].contains(errno)
  return isThere ? try readFolder(path).names : []
}
