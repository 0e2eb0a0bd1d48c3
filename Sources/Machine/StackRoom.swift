import Foundation

/// Room for the stacks of this process's threads, which a limit (`ulimit -s`) may leave too small: a stack that is full
/// ends a program by a signal, without a word.
public enum StackRoom {
  /// Bytes of a stack, below which more is asked for; as many as most systems give; and those that do.
  private static let (low, usual, least) = (1 << 20, 8 << 20, 256 << 10)

  /// Raises a limit that is low as far as it may be. Threads get what it was when their program started.
  ///
  /// - Returns: whether it has been raised.
  public static func raise() -> Bool {
    guard let limit = limit(), limit.rlim_cur < rlim_t(low), limit.rlim_cur < limit.rlim_max else { return false }
    var raised = limit
    raised.rlim_cur = min(limit.rlim_max, rlim_t(usual))
    return setrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &raised) == 0
  }

  /// What to say of a limit that is too low and may not be raised; nil where there is room.
  public static var problem: String? {
    guard let limit = limit(), limit.rlim_cur < rlim_t(least) else { return nil }
    return "a stack may have \(limit.rlim_cur >> 10) KiB here (ulimit -s), ala needs \(least >> 10): "
      + "set ulimit -s \(usual >> 10)"
  }

  private static func limit() -> rlimit? {
    var limit = rlimit()
    return getrlimit(__rlimit_resource_t(RLIMIT_STACK.rawValue), &limit) == 0 ? limit : nil
  }
}
