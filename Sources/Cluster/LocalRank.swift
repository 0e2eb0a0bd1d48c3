import Foundation
import Machine

/// A rank on this machine as the system tells of it, which it does before ranks have met: what the parent of this process
/// has started and given a number.
struct LocalRank {
  let rank: Int
  let process: Int32
  /// By a signal such as `SIGSTOP`.
  let isStopped: Bool

  /// Of mpirun, and of srun with PMIx.
  private static let variables = ["OMPI_COMM_WORLD_RANK", "PMIX_RANK"]

  /// This process's number; nil where no launcher gives one.
  static let own = number(ProcessInfo.processInfo.environment)

  private static func number(_ environment: [String: String]) -> Int? {
    variables.lazy.compactMap { environment[$0].flatMap { Int($0) } }.first
  }

  /// All of them, this process among them.
  static func all() -> [LocalRank] {
    let parent = "\(getppid())"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return names.compactMap { name in
      guard let process = Int32(name), let fields = Processes.status(of: process), fields.count > 1,
        fields[1] == parent, fields[0] != "Z",
        let environment = FileManager.default.contents(atPath: "/proc/\(name)/environ"),
        let rank = number(Self.entries(environment))
      else { return nil }
      return LocalRank(rank: rank, process: process, isStopped: fields[0] == "T")
    }
  }

  /// Of a block as `/proc/PID/environ` holds it.
  private static func entries(_ block: Data) -> [String: String] {
    let pairs = block.split(separator: 0).compactMap { entry -> (String, String)? in
      let text = String(decoding: entry, as: UTF8.self)
      guard let end = text.firstIndex(of: "=") else { return nil }
      return (String(text[..<end]), String(text[text.index(after: end)...]))
    }
    return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
  }
}
