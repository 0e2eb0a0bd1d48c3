import Foundation
import Machine

/// A rank on this machine as the system tells of it, which it does before ranks have met: what the parent of this process
/// has started and Open MPI has given a number.
struct LocalRank {
  let rank: Int
  let process: Int32
  /// By a signal such as `SIGSTOP`.
  let isStopped: Bool

  private static let variable = "OMPI_COMM_WORLD_RANK"

  /// This process's number; nil where no launcher gives one.
  static var own: Int? { ProcessInfo.processInfo.environment[variable].flatMap { Int($0) } }

  /// All of them, this process among them.
  static func all() -> [LocalRank] {
    let parent = "\(getppid())"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { name in
      guard let process = Int32(name), let fields = Processes.status(of: process), fields.count > 1,
        fields[1] == parent, fields[0] != "Z",
        let environment = FileManager.default.contents(atPath: "/proc/\(name)/environ"),
        let entry = environment.split(separator: 0).first(where: { $0.starts(with: Array("\(variable)=".utf8)) }),
        let rank = Int(String(decoding: entry, as: UTF8.self).dropFirst(variable.count + 1))
      else { return nil }
      return LocalRank(rank: rank, process: process, isStopped: fields[0] == "T")
    }
  }
}
