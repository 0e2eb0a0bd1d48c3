import Failures
import Foundation

/// A file that grows by whole pieces, such as a log's lines; closed with its owner.
public final class AppendedFile: Sendable {
  public let path: String
  private let descriptor: Int32

  /// - Parameter isNew: begins an empty file instead of going on behind what is there.
  /// - Throws: `Failure` 73.
  public init(_ path: String, isNew: Bool = false) throws {
    self.path = path
    descriptor = try openForWriting(path, O_WRONLY | O_CREAT | (isNew ? O_TRUNC : O_APPEND))
  }

  deinit { close(descriptor) }

  /// Appends all of a piece, or nothing of it.
  ///
  /// - Throws: `Failure` 73, also where the file has vanished.
  public func append(_ bytes: [UInt8]) throws {
    try checkPresent()
    let end = lseek(descriptor, 0, SEEK_END)
    do {
      try bytes.withUnsafeBytes { try writeFully($0, to: descriptor, path: path) }
    } catch {
      // A disk that is full takes the beginning of a line, which the next call's would go on behind. What another rank
      // has written since stays.
      let written = lseek(descriptor, 0, SEEK_CUR)
      if end >= 0, written > end, lseek(descriptor, 0, SEEK_END) == written { ftruncate(descriptor, end) }
      throw error
    }
  }

  /// What is appended to a file without a name is lost.
  private func checkPresent() throws {
    var (own, named) = (stat(), stat())
    guard fstat(descriptor, &own) == 0 else { throw cannotWrite(path) }
    // A name that cannot be looked up for another reason says nothing.
    guard stat(path, &named) == 0 || errno == ENOENT || errno == ENOTDIR else { return }
    guard named.st_ino == own.st_ino, named.st_dev == own.st_dev else {
      throw Failure.cannotWrite("\(path): has vanished: its folder was removed or moved while it was written")
    }
  }

  public func append(_ text: String) throws { try append(Array(text.utf8)) }
}
