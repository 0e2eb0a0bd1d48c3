import Failures
import Files
import Foundation

extension Cluster {
  /// Sees that all ranks write into one folder: each host may have another one under the same name.
  ///
  /// - Parameters:
  ///   - folder: which is there on rank 0, and is this run's alone; a file in it is made and removed, and so are those
  ///     that killed calls have left.
  ///   - setting: the setting or option that names it.
  /// - Throws: on every rank the same `Failure`: 78 where a rank does not see what rank 0 has written, 73 where rank 0
  ///   cannot write.
  public func requireOneFolder(_ folder: String, _ setting: String) throws {
    if isRoot { removeTemporaries(in: folder, of: [Self.sightName]) }
    guard size > 1 else { return }
    // A name that no host has looked for yet: file systems over a network remember for a while what was not there.
    let path = try String(
      decoding: fromRoot {
        let path = "\(folder)/\(Self.sightName)\(temporaryMark)\(UInt64.random(in: 0 ... .max))"
        try writeAtomically([], to: path)
        return Array(path.utf8)
      }, as: UTF8.self)
    defer { if isRoot { unlink(path) } }
    try agree {
      guard Self.appears(path) else {
        throw Failure.badConfiguration(
          "\(setting): \(folder) is another folder here than on rank 0's host, for what rank 0 writes is not there; "
            + "put it on a file system that all hosts share")
      }
    }
  }

  private static let sightName = ".ala-sight"

  /// Seconds that a file system over a network may take to show a new file.
  private static let sightSeconds = 5.0

  private static func appears(_ path: String) -> Bool {
    let limit = Date().addingTimeInterval(sightSeconds)
    while access(path, F_OK) != 0 {
      guard Date() < limit else { return false }
      usleep(100_000)
    }
    return true
  }
}
