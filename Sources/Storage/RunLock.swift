import Failures
import Foundation

/// Keeps two runs out of one folder. The kernel lets go of the lock when its process ends, however it ends.
public final class RunLock {
  private let descriptor: Int32

  /// A killed `mpirun` leaves its ranks for some seconds.
  private static let patience = 15

  /// - Parameters:
  ///   - path: of the lock file.
  ///   - onWait: told once, if another process holds the lock.
  /// - Throws: `Failure` 73.
  public init(path: String, onWait: (String) -> Void) throws {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Failure.cannotWrite("\(path): cannot be made: \(String(cString: strerror(errno)))")
    }
    var waited = 0
    while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
      guard waited < Self.patience * 10 else {
        close(descriptor)
        throw Failure.cannotWrite("\(path): another run is using this folder")
      }
      if waited == 0 { onWait("another run holds \(path); waiting up to \(Self.patience) s for it to end") }
      usleep(100_000)
      waited += 1
    }
  }

  deinit { close(descriptor) }
}
