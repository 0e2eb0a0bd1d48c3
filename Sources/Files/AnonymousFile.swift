import Failures
import Foundation

/// A file without a name, which is gone with the last process that has it open, however that ends.
public final class AnonymousFile: Sendable {
  private let descriptor: Int32

  /// Makes an empty one.
  ///
  /// - Parameter folder: on whose file system it lies.
  /// - Throws: `Failure` 73.
  public init(in folder: String) throws {
    let name = "\(folder)/ala-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    descriptor = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw cannotWrite(name) }
    unlink(name)
  }

  /// Opens that of another process of this machine for reading.
  ///
  /// - Returns: nil where that cannot be done, such as between containers, which do not see each other's processes.
  public init?(place: String) {
    let words = place.split(separator: " ")
    guard words.count == 4,
      case let opened = open("/proc/\(words[0])/fd/\(words[1])", O_RDONLY | O_CLOEXEC | O_NONBLOCK),
      opened >= 0
    else { return nil }
    guard Self.identity(opened) == words[2...].joined(separator: " ") else {
      close(opened)
      return nil
    }
    descriptor = opened
  }

  deinit { close(descriptor) }

  /// Leads to the file in this process, as long as this value is there.
  public var path: String { "/proc/self/fd/\(descriptor)" }

  /// By which other processes of this machine open it, as long as this value is there.
  public var place: String { "\(getpid()) \(descriptor) \(Self.identity(descriptor))" }

  /// Which file it is: numbers of processes may mean another one elsewhere.
  private static func identity(_ descriptor: Int32) -> String {
    var status = stat()
    return fstat(descriptor, &status) == 0 ? "\(status.st_dev) \(status.st_ino)" : ""
  }

  /// - Throws: `Failure` 73.
  public func append(_ bytes: UnsafeRawBufferPointer) throws {
    try writeFully(bytes, to: descriptor, path: "a temporary file (TMPDIR)")
  }
}
