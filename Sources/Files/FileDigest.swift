import Digests

extension SHA256 {
  /// The digest of a regular file's bytes.
  ///
  /// - Throws: as `openRegularFile`, and `Failure` 65 where reading it fails.
  public static func ofFile(_ path: String) throws -> String {
    let hash = SHA256()
    try hash.update(file: path)
    return hash.finish()
  }

  /// Adds a regular file's bytes, from an offset on.
  ///
  /// - Throws: as `openRegularFile`, and `Failure` 65 where reading it fails.
  public func update(file path: String, from start: Int = 0) throws {
    try readPieces(of: path, from: start) { update($0) }
  }
}
