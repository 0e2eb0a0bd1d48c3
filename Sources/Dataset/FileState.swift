import Foundation

/// By what a file is known to be the same as before.
struct FileState: Equatable, Sendable {
  let bytes: Int
  /// Of the last change.
  private let seconds: Int
  private let nanoseconds: Int

  /// nil where there is no such file.
  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    bytes = Int(status.st_size)
    (seconds, nanoseconds) = (status.st_mtim.tv_sec, status.st_mtim.tv_nsec)
  }
}
