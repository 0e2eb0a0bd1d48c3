import Files
import Foundation

/// The system's lock on an open file (`flock`), which goes with its holder however that ends.
public enum FileLock {
  public enum Outcome: Equatable, Sendable {
    case held
    /// Another holder has it.
    case taken
    /// The file system has no locks: NFS mounted with `nolock`, Lustre without `flock`. The number is `errno`.
    case unsupported(Int32)
    /// Any other reason.
    case failed(Int32)
  }

  /// Asks for a lock, without waiting.
  ///
  /// - Parameters:
  ///   - isShared: for readers, which do not keep each other out.
  public static func attempt(_ descriptor: Int32, isShared: Bool = false) -> Outcome {
    while flock(descriptor, (isShared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0 {
      switch errno {
      case EINTR: continue
      case EWOULDBLOCK: return .taken
      case ENOLCK, ENOSYS, EOPNOTSUPP: return .unsupported(errno)
      default: return .failed(errno)
      }
    }
    return .held
  }

  /// What a reader of the file would meet; nil where there is none that can be opened.
  static func outcomeForReader(of path: String) -> Outcome? {
    guard let (descriptor, _) = try? openRegularFile(path) else { return nil }
    defer { close(descriptor) }
    return attempt(descriptor, isShared: true)
  }
}
