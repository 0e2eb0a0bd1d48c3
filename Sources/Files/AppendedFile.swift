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

  /// - Throws: `Failure` 73.
  public func append(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { try writeFully($0, to: descriptor, path: path) }
  }

  public func append(_ text: String) throws { try append(Array(text.utf8)) }
}
