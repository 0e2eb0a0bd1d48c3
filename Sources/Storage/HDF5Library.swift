import Foundation

/// Whose turn it is in the C library. Every function of `HDF5File` that others may call stands between `enter` and `leave`, and
/// nothing else calls the library; they may call each other. A data set is the most that is read or written in a turn.
enum HDF5Library {
  private static let turn = NSRecursiveLock()

  static func enter() { turn.lock() }
  static func leave() { turn.unlock() }
}
