import Files
import Foundation

/// The line by which a launch script (launch/watch.sh) knows that a rank has begun, before MPI has.
enum FirstLine {
  /// Beginning with `ALA_`, it would be a setting's, and an error to programs that do not know it.
  private static let variable = "LAUNCH_FIRST_LINE"

  /// Says it where a launch script waits for it.
  static func say() {
    guard let line = getenv(variable) else { return }
    StandardError.note(String(cString: line))
    // What this process starts is no rank.
    unsetenv(variable)
  }
}
