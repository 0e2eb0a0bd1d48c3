import Digests
import Failures
import Files
import Foundation

/// The first 512 bytes of a checkpoint: a line of text with the SHA-256 of everything after them. It is checked
/// before HDF5 opens the file, so that damaged metadata never reaches the library.
enum UserBlock {
  static let size = 512
  private static let mark = "ala-checkpoint sha256 "

  /// Writes the block of a finished file and syncs it.
  static func seal(_ path: String) throws {
    let digest = try digestOfRest(path)
    let descriptor = try openForWriting(path, O_RDWR)
    defer { close(descriptor) }
    var block = Array("\(mark)\(digest)\n".utf8)
    block += [UInt8](repeating: 0, count: size - block.count)
    try block.withUnsafeBytes { try writeFully($0, to: descriptor, path: path) }
    guard fsync(descriptor) == 0 else { throw cannotWrite(path) }
  }

  static func isPresent(_ path: String) -> Bool {
    (try? readBeginning(of: path, count: mark.utf8.count)) == Array(mark.utf8)
  }

  /// - Throws: `Failure` 66 or 65.
  static func verify(_ path: String) throws {
    let head = try readBeginning(of: path, count: size)
    guard head.count == size, head.starts(with: Array(mark.utf8)) else {
      throw Failure.badData("\(path): is not a checkpoint of ala, or its beginning is damaged")
    }
    let expected = "\(mark)\(try digestOfRest(path))\n"
    guard head.starts(with: Array(expected.utf8)),
      head.dropFirst(expected.utf8.count).allSatisfy({ $0 == 0 })
    else {
      throw Failure.badData("\(path): is damaged: its bytes do not have the digest in its first line")
    }
  }

  private static func digestOfRest(_ path: String) throws -> String {
    let hash = SHA256()
    try hash.update(file: path, from: size)
    return hash.finish()
  }
}
