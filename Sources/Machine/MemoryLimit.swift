import Foundation

/// A limit on a process's memory below what the machine has.
public struct MemoryLimit: Equatable, Sendable {
  /// What sets it, and how much: "the address space is limited to 390.6 MiB (ulimit -v)".
  public let description: String
  /// Bytes.
  public let limit: Double
  /// Of them, what is in use.
  public let used: Double

  public var free: Double { max(0, limit - used) }

  package init(_ description: String, limit: Double, used: Double) {
    (self.description, self.limit, self.used) = (description, limit, used)
  }

  /// Of the address space; nil where it has none.
  public static func ofAddressSpace() -> MemoryLimit? {
    var space = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &space) == 0, space.rlim_cur != rlim_t.max else {
      return nil
    }
    let pages = (try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8))?.split(separator: " ").first
    let limit = Double(space.rlim_cur)
    return MemoryLimit(
      "the address space is limited to \(mebibytes(limit)) (ulimit -v)", limit: limit,
      used: (pages.flatMap { Double($0) } ?? 0) * Double(sysconf(Int32(_SC_PAGESIZE))))
  }

  /// Of the control group that this process is in, or of the narrowest above it; nil where none has one.
  ///
  /// - Parameters:
  ///   - membership: a text in the form of `/proc/self/cgroup`.
  ///   - root: where control groups are mounted.
  ///   - memory: the machine's, in bytes; a limit beyond it is none.
  public static func ofControlGroup(
    membership: String = (try? String(contentsOfFile: "/proc/self/cgroup", encoding: .utf8)) ?? "",
    root: String = "/sys/fs/cgroup",
    memory: Double = MachineMemory.bytes
  ) -> MemoryLimit? {
    var found: [MemoryLimit] = []
    for line in membership.split(separator: "\n") {
      // "4:memory:/a/b" in version 1, "0::/a/b" in version 2.
      let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
      guard fields.count == 3 else { continue }
      let isSecond = fields[0] == "0" && fields[1].isEmpty
      guard isSecond || fields[1].split(separator: ",").contains("memory") else { continue }
      let (limitFile, usedFile) =
        isSecond ? ("memory.max", "memory.current") : ("memory.limit_in_bytes", "memory.usage_in_bytes")
      // Inside a container the path may be the host's, and the root is the container's own.
      var path = fields[2]
      while true {
        let folder = (isSecond ? root : "\(root)/memory") + (path == "/" ? "" : path)
        if let limit = number("\(folder)/\(limitFile)"), limit < memory {
          found.append(
            MemoryLimit(
              "the control group \(path) is limited to \(mebibytes(limit))", limit: limit,
              used: number("\(folder)/\(usedFile)") ?? 0))
        }
        if path == "/" || path.isEmpty { break }
        path = (path as NSString).deletingLastPathComponent
      }
    }
    return found.min { $0.free < $1.free }
  }

  private static func number(_ path: String) -> Double? {
    // "No limit" is a word in one version of control groups and a huge number in the other.
    (try? String(contentsOfFile: path, encoding: .utf8))?.split(whereSeparator: \.isWhitespace).first.flatMap {
      Double($0)
    }
  }

  private static func mebibytes(_ bytes: Double) -> String { String(format: "%.0f MiB", bytes / 1_048_576) }
}

/// What the machine has.
public enum MachineMemory {
  public static let bytes = Double(sysconf(Int32(_SC_PHYS_PAGES))) * Double(sysconf(Int32(_SC_PAGESIZE)))
}
