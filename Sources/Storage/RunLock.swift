import Failures
import Files
import Foundation

/// Keeps two runs out of one folder: by the system's lock, which ends with its process; on a file system without locks
/// by a file that names its owner, and that is taken over when the owner is gone.
public final class RunLock {
  private let path: String
  private let descriptor: Int32
  /// Where the file system has no locks: the owner file, and what it says.
  private let owned: (path: String, owner: RunOwner)?

  /// A killed `mpirun` leaves its ranks for some seconds.
  public static let patience = 15.0
  private static let pollSeconds = 0.1

  /// - Parameters:
  ///   - path: of the lock file.
  ///   - patience: seconds to wait for another run to end.
  ///   - attempt: asks the system for the lock; tests give one that fails.
  ///   - warn: told once, if another process has the folder or the file system has no locks.
  /// - Throws: `Failure` 73.
  public init(
    path: String, patience: Double = RunLock.patience, attempt: (Int32) -> FileLock.Outcome = { FileLock.attempt($0) },
    warn: (String) -> Void
  ) throws {
    // What a link leads to is not the run's, and would be emptied.
    if let target = try? FileManager.default.destinationOfSymbolicLink(atPath: path) {
      throw Failure.cannotWrite(
        "\(path): is a symbolic link to \(target); expected a file that lies here itself: remove the link")
    }
    let descriptor = try openForWriting(path, O_RDWR | O_CREAT | O_NOFOLLOW)
    do {
      owned = try Self.take(path, descriptor, patience, attempt, warn)
    } catch {
      close(descriptor)
      throw error
    }
    (self.path, self.descriptor) = (path, descriptor)
  }

  /// Makes sure that the folder is still this run's: whoever makes the lock file anew gets in beside it.
  ///
  /// - Throws: `Failure` 73 where the lock file was removed or replaced.
  public func check() throws {
    let name = owned?.path ?? path
    var (own, named) = (stat(), stat())
    // What cannot be looked up for another reason says nothing.
    guard fstat(descriptor, &own) == 0, stat(name, &named) == 0 || errno == ENOENT || errno == ENOTDIR else { return }
    let isOwn =
      if let owned { named.st_nlink > 0 && RunOwner(path: name).map { $0 == owned.owner } ?? true } else {
        named.st_ino == own.st_ino && named.st_dev == own.st_dev
      }
    guard isOwn else {
      throw Failure.cannotWrite(
        "\(name): has vanished or was replaced while this run held it: another run may have begun in this folder; if none has, "
          + "run the same command again")
    }
  }

  private static func take(
    _ path: String, _ descriptor: Int32, _ patience: Double, _ attempt: (Int32) -> FileLock.Outcome,
    _ warn: (String) -> Void
  ) throws -> (path: String, owner: RunOwner)? {
    var outcome = FileLock.Outcome.taken
    let own = RunOwner.current()
    _ = wait(
      patience,
      warning: { warn("\(path) is held by \(holder(of: path)); waiting up to \(Int(patience)) s for that run to end") },
      until: {
        outcome = attempt(descriptor)
        return outcome != .taken
      })
    switch outcome {
    case .held:
      // For the message to who comes next.
      ftruncate(descriptor, 0)
      try Array(own.text.utf8).withUnsafeBytes { try writeFully($0, to: descriptor, path: path) }
      return nil
    case .taken: throw Failure.cannotWrite("\(path): another run is using this folder: \(holder(of: path))")
    case .unsupported(let number):
      warn(
        "\(path): this file system has no locks (\(systemReason(number))): an owner file keeps other runs out instead")
      let file = "\(path).owner"
      try takeOwnership(of: file, for: own, patience: patience, warn: warn)
      return (file, own)
    case .failed(let number): throw Failure.cannotWrite("\(path): cannot be locked: \(systemReason(number))")
    }
  }

  deinit {
    if let owned {
      if RunOwner(path: owned.path) == owned.owner { unlink(owned.path) }
    } else {
      ftruncate(descriptor, 0)
    }
    close(descriptor)
  }

  /// - Returns: whether `isDone` came true in time.
  private static func wait(_ seconds: Double, warning: () -> Void, until isDone: () throws -> Bool) rethrows -> Bool {
    let limit = Date().addingTimeInterval(seconds)
    var hasWarned = false
    while try !isDone() {
      guard Date() < limit else { return false }
      if !hasWarned { warning() }
      hasWarned = true
      usleep(UInt32(pollSeconds * 1e6))
    }
    return true
  }

  private static func holder(of path: String) -> String { RunOwner(path: path)?.description ?? "another run" }

  // MARK: Without locks

  private static func takeOwnership(
    of file: String, for own: RunOwner, patience: Double, warn: (String) -> Void
  ) throws {
    let isTaken = try wait(
      patience,
      warning: {
        warn("\(file) is of \(holder(of: file)); waiting up to \(Int(patience)) s for that run to end")
      },
      until: {
        if try make(file, own) { return true }
        guard let other = RunOwner(path: file), other.isGone else { return false }
        warn("\(file): is left by \(other.description), which has ended; it is taken over")
        remove(file, of: other)
        return try make(file, own)
      })
    guard isTaken else {
      throw Failure.cannotWrite(
        "\(file): another run is using this folder: \(holder(of: file)). If that run has ended, remove this file")
    }
  }

  /// Makes the owner file, unless there is one.
  private static func make(_ file: String, _ owner: RunOwner) throws -> Bool {
    let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      if errno == EEXIST { return false }
      throw Failure.ofCall(.cannotWrite, "\(file): cannot be made")
    }
    defer { close(descriptor) }
    do {
      try Array(owner.text.utf8).withUnsafeBytes { try writeFully($0, to: descriptor, path: file) }
    } catch {
      unlink(file)
      throw error
    }
    fsync(descriptor)
    return true
  }

  /// Removes the owner file of a process that has ended. Another run may do so at the same time and put its own there:
  /// what is moved aside is looked at again, and given back where it is not what it was.
  private static func remove(_ file: String, of owner: RunOwner) {
    let aside = "\(file)-\(getpid())"
    guard rename(file, aside) == 0 else { return }
    if RunOwner(path: aside) != owner { link(aside, file) }
    unlink(aside)
  }
}
