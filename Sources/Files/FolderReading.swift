import Failures
import Foundation

/// What lies in a folder, by name and in the system's order.
///
/// - Returns: the names but `.` and `..`; those that are no UTF-8, by their bytes (`caf\xe9.jpg`): no text leads to them.
/// - Throws: `Failure` 66 where the folder cannot be read.
public func readFolder(_ path: String) throws -> (names: [String], notUTF8: [String]) {
  guard let handle = opendir(path) else {
    throw Failure.missingInput("\(path): this folder cannot be read: \(systemReason())")
  }
  defer { closedir(handle) }
  var (names, notUTF8) = ([String](), [String]())
  while let entry = readdir(handle) {
    withUnsafeBytes(of: &entry.pointee.d_name) { buffer in
      let bytes = buffer.prefix { $0 != 0 }
      guard let name = String(validating: bytes, as: UTF8.self) else { return notUTF8.append(escapingBytes(bytes)) }
      if name != "." && name != ".." { names.append(name) }
    }
  }
  return (names, notUTF8)
}
