import Foundation

/// Notices SIGUSR1, SIGTERM, SIGINT, SIGHUP and SIGXCPU, by which the system and batch systems tell that processor time is
/// used up; the training loop looks between steps and ends with a checkpoint.
public final class SignalWatch: Sendable {
  /// Written by the handler; a plain aligned word, for a handler may do no more.
  private nonisolated(unsafe) static let received: UnsafeMutablePointer<sig_atomic_t> = {
    let word = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)
    word.initialize(to: 0)
    return word
  }()

  public init() {
    _ = Self.received
    for number in Self.numbers where !(number == SIGHUP && Self.isIgnored(number)) {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in SignalWatch.received.pointee = number }
      action.sa_flags = Int32(SA_RESTART)
      sigaction(number, &action, nil)
    }
    Self.release()
  }

  private static let numbers = [SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGXCPU]

  /// Lets the signals through that were held since the process began (`CHeldSignals`), or that a launcher has blocked:
  /// they end a process that does not watch for them.
  public static func release() {
    var held = sigset_t()
    sigemptyset(&held)
    for number in numbers { sigaddset(&held, number) }
    pthread_sigmask(SIG_UNBLOCK, &held, nil)
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
