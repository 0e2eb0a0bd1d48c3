import Foundation

/// Programs that can be started, and processes that run, as the system tells of them.
public enum Processes {
  /// The file that a shell would start under a name; nil where the PATH has none.
  public static func executable(_ name: String, in environment: [String: String]) -> String? {
    (environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  /// Whether a process group has a member that has not ended. Those that have may stay until their parent asks how, which
  /// in a container may be nobody.
  static func isAlive(group: Int32) -> Bool {
    guard kill(-group, 0) == 0 else { return false }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.contains { name in
      guard let fields = Int32(name).flatMap(status(of:)), fields.count > 2 else { return false }
      return Int32(fields[2]) == group && fields[0] != "Z"
    }
  }

  /// What `/proc/PID/stat` says from field 3 on, the state and the parent first; nil where there is no such process.
  public static func status(of process: Int32) -> [Substring]? {
    guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8),
      // The name before, in parentheses, may hold anything.
      let end = text.lastIndex(of: ")")
    else { return nil }
    return text[text.index(after: end)...].split(separator: " ")
  }
}
