import Foundation
import Machine

/// Notices SIGUSR1, SIGTERM, SIGINT, SIGHUP and SIGXCPU, by which the system and batch systems tell that processor time is
/// used up; the training loop looks between steps and ends with a checkpoint.
///
/// They reach a thread of its own and no other: oneDNN's code for products keeps values further below the stack pointer
/// than a handler leaves alone, and a handler on a thread that multiplies would end in writes anywhere
/// (docs/architecture.md).
public final class SignalWatch: Sendable {
  /// Written by the handler; a plain aligned word, for a handler may do no more.
  private nonisolated(unsafe) static let received: UnsafeMutablePointer<sig_atomic_t> = {
    let word = UnsafeMutablePointer<sig_atomic_t>.allocate(capacity: 1)
    word.initialize(to: 0)
    return word
  }()

  public init() {
    _ = Self.received
    for number in HeldSignals.numbers where !(number == SIGHUP && HeldSignals.isIgnored(number)) {
      var action = sigaction()
      action.__sigaction_handler.sa_handler = { number in SignalWatch.received.pointee = number }
      action.sa_flags = Int32(SA_RESTART)
      sigaction(number, &action, nil)
    }
    _ = Self.listening
  }

  /// Held since the process began, by every thread but the listener.
  private static let listening: Void = {
    let thread = Thread {
      HeldSignals.release()
      while true { pause() }
    }
    thread.stackSize = 1 << 17
    thread.start()
  }()

  /// The last signal that came, or nil.
  public var pending: Int32? {
    let number = Self.received.pointee
    return number == 0 ? nil : number
  }
}
