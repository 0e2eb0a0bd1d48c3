import Foundation

/// A path with its leading `~` or `~name` replaced by that user's home folder, as shells do; they leave it alone behind
/// `--flag=`, in quotes, and in files. Paths without one, or of an unknown user, are returned as they are.
public func expandingHome(_ path: String) -> String {
  guard path.hasPrefix("~") else { return path }
  let user = String(path.dropFirst().prefix { $0 != "/" })
  guard let home = homeFolder(of: user) else { return path }
  return home + path.dropFirst(1 + user.count)
}

/// - Parameter user: empty for the one who runs the program.
private func homeFolder(of user: String) -> String? {
  if user.isEmpty, let home = ProcessInfo.processInfo.environment["HOME"], !home.isEmpty { return home }
  let entry = user.isEmpty ? getpwuid(getuid()) : getpwnam(user)
  return entry.flatMap { $0.pointee.pw_dir }.map { String(cString: $0) }
}
