import Foundation

/// Makes a folder for files that are needed while `body` runs, and removes it with all that is in it; those above it that
/// had to be made are removed, too, unless others have put something there.
///
/// - Parameter together: waits for others that do the same at the same time: none of them is there when the first looks what
///   has to be made, and all have left when the last removes it.
/// - Throws: what `body` throws; `Failure` 73 where the folder cannot be made.
public func withWorkFolder<Result>(
  _ path: String, together: () -> Void, _ body: () throws -> Result
) throws -> Result {
  var made: [String] = []
  var above = parentFolder(of: path)
  while !above.isEmpty, above != "/", !FileManager.default.fileExists(atPath: above) {
    made.append(above)
    above = parentFolder(of: above)
  }
  together()
  defer {
    try? FileManager.default.removeItem(atPath: path)
    together()
    for folder in made { rmdir(folder) }
  }
  try makeFolder(path)
  return try body()
}
