import CEndingSignals
import Foundation

/// The signals that ask a run to end. `CHeldSignals` holds them from the process's first moment, and every thread inherits
/// that; so may a launcher have done.
public enum HeldSignals {
  private static let set: sigset_t = {
    var set = sigset_t()
    ending_signals(&set)
    return set
  }()

  public static let numbers = (1..<NSIG).filter { number in
    withUnsafePointer(to: set) { sigismember($0, number) == 1 }
  }

  /// Lets them through to the calling thread.
  public static func release() {
    withUnsafePointer(to: set) { _ = pthread_sigmask(SIG_UNBLOCK, $0, nil) }
  }

  /// Holds them back from the calling thread while `body` runs, which asks `isWaiting` now and then; one that has come does
  /// its work when `body` returns.
  public static func held<Result>(while body: () throws -> Result) rethrows -> Result {
    var before = sigset_t()
    withUnsafePointer(to: set) { _ = pthread_sigmask(SIG_BLOCK, $0, &before) }
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    return try body()
  }

  /// Whether one waits that no thread lets through, and that is not ignored.
  public static var isWaiting: Bool {
    var waiting = sigset_t()
    sigpending(&waiting)
    return numbers.contains { sigismember(&waiting, $0) == 1 && !isIgnored($0) }
  }

  /// `nohup` starts a program so, for a run that shall outlive its terminal.
  public static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    // SIG_IGN is the number 1 in the place of a handler; Swift cannot compare functions.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }
}
