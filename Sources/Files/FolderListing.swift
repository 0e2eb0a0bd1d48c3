import Failures
import Foundation

/// The names in a folder, in no order, but for its own and that of the folder above; none where there is no such folder.
///
/// - Throws: `Failure` 66 where it is there and cannot be listed, 69 for want of memory or descriptors.
public func names(inFolder path: String) throws -> [String] {
  guard let folder = opendir(path) else {
    if [ENOENT, ENOTDIR].contains(errno) { return [] }
    throw Failure.ofCall(.missingInput, "\(path): this folder cannot be read")
  }
  defer { closedir(folder) }
  var names: [String] = []
  errno = 0
  while let entry = readdir(folder) {
    let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    if name != ".", name != ".." { names.append(name) }
    errno = 0
  }
  guard errno == 0 else { throw Failure.ofCall(.missingInput, "\(path): this folder cannot be read") }
  return names
}
