import Foundation

/// The signals that ask a run to end. `CHeldSignals` holds them from the process's first moment, and every thread inherits
/// that; so may a launcher have done.
public enum HeldSignals {
  public static let numbers = [SIGUSR1, SIGTERM, SIGINT, SIGHUP]

  private static let set: sigset_t = {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    return set
  }()

  /// Lets them through to the calling thread.
  public static func release() {
    withUnsafePointer(to: set) { _ = pthread_sigmask(SIG_UNBLOCK, $0, nil) }
  }

  /// Lets them through to the calling thread while `body` runs: a program that it starts inherits what is held, and would
  /// be deaf.
  public static func released<Result>(while body: () throws -> Result) rethrows -> Result {
    var before = sigset_t()
    withUnsafePointer(to: set) { _ = pthread_sigmask(SIG_UNBLOCK, $0, &before) }
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return try body()
  }
}
