import Foundation

/// Notices SIGUSR1, SIGTERM, SIGINT and SIGHUP; the training loop looks between steps and ends with a checkpoint.
public final class SignalWatch: Sendable {
  /// Written by the handler; a plain aligned word, for a handler may do no more.
  private nonisolated(unsafe) static let received: UnsafeMutablePointer<sig_atomic_t> = {
    let word = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)
    word.initialize(to: 0)
    return word
  }()

  public init() {
    _ = Self.received
    // A launcher may have started this process with these signals blocked.
    var wanted = sigset_t()
    sigemptyset(&wanted)
    for number in [SIGUSR1, SIGTERM, SIGINT, SIGHUP] where !(number == SIGHUP && Self.isIgnored(number)) {
      sigaddset(&wanted, number)
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in SignalWatch.received.pointee = number }
      action.sa_flags = Int32(SA_RESTART)
      sigaction(number, &action, nil)
    }
    pthread_sigmask(SIG_UNBLOCK, &wanted, nil)
  }

  /// `nohup` starts a program so, for a run that shall outlive its terminal.
  private static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    // SIG_IGN is the number 1 in the place of a handler; Swift cannot compare functions.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
  }

  /// The last signal that came, or nil.
  public var pending: Int32? {
    let number = Self.received.pointee
    return number == 0 ? nil : number
  }
}
