import Foundation

/// Which file a path leads to; nil where there is none.
public struct FileIdentity: Hashable, Sendable {
  let device: UInt
  let number: UInt

  public init(_ status: stat) { (device, number) = (UInt(status.st_dev), UInt(status.st_ino)) }

  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    self.init(status)
  }
}
