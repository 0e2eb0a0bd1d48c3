import Failures
import Foundation

/// Makes a folder beside its place and puts it there in one step, in place of what is there; what `make` throws leaves
/// everything as it was.
///
/// - Parameters:
///   - path: of a folder that may be replaced, or where nothing is.
///   - make: makes the folder's files under the name that it is given.
/// - Throws: what `make` throws; `Failure` 73 naming the path.
public func replaceFolder<Result>(_ path: String, _ make: (_ temporary: String) throws -> Result) throws -> Result {
  removeAbandoned(path)
  let temporary = temporaryName(for: path)
  let earlier = "\(temporary)-earlier"
  do {
    try makeFolder(temporary)
    let result = try make(temporary)
    // An empty folder gives way; a full one is moved aside, and back if the new one cannot take its place.
    if rename(temporary, path) != 0 {
      guard errno == ENOTEMPTY || errno == EEXIST, rename(path, earlier) == 0 else { throw cannotWrite(path) }
      guard rename(temporary, path) == 0 else {
        let failure = cannotWrite(path)
        rename(earlier, path)
        throw failure
      }
    }
    syncFolder(of: path)
    try? FileManager.default.removeItem(atPath: earlier)
    return result
  } catch {
    try? FileManager.default.removeItem(atPath: temporary)
    throw error
  }
}

/// Removes what processes of this machine that are no more have left beside the folder. Such a folder is never the only
/// one of its files, unless the process died between two renames: then the place is empty, and it is left.
private func removeAbandoned(_ path: String) {
  let folder = parentFolder(of: path)
  let start = "\((path as NSString).lastPathComponent)\(temporaryMark)"
  for name in (try? FileManager.default.contentsOfDirectory(atPath: folder.isEmpty ? "." : folder)) ?? []
  where name.hasPrefix(start) {
    guard TemporaryOwner(ofTemporary: name)?.isGone == true else { continue }
    try? FileManager.default.removeItem(atPath: folder.isEmpty ? name : "\(folder)/\(name)")
  }
}
