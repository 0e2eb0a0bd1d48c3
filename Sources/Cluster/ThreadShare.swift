import Foundation
import Machine

/// How many threads a rank takes where nobody says: the processors that it may use, each shared with those ranks of its
/// host that may use it, too. Ranks that are bound to processors of their own have all of them.
public struct ThreadShare: Sendable {
  public let threads: Int
  /// What to say where ranks are bound to fewer processors than their launcher could have given them; nil where nothing is.
  public let remark: String?
}

extension Cluster {
  /// Every rank calls this.
  public func threadShare() -> ThreadShare {
    let own = Processor.affinity()
    struct Claim: Codable {
      let host: String
      let processors: Set<Int>
    }
    let bytes = (try? JSONEncoder().encode(Claim(host: host, processors: own))) ?? Data()
    let here = allGather(Array(bytes)).compactMap { try? JSONDecoder().decode(Claim.self, from: Data($0)) }
      .filter { $0.host == host }.map(\.processors)
    let threads = own.isEmpty ? Processor.available() / localSize : Self.share(of: own, among: here)
    let used = here.reduce(into: Set<Int>()) { $0.formUnion($1) }.count
    return ThreadShare(
      threads: max(1, threads),
      remark: Launcher.current.flatMap { launcher in
        guard !own.isEmpty, used < launcher.processors else { return nil }
        return
          "the ranks of \(host) are bound to \(used) of the \(launcher.processors) processors that they could have, and "
          + "rank \(rank) has \(max(1, threads)) thread\(threads > 1 ? "s" : ""): \(launcher.remedy)"
      })
  }

  /// - Parameter all: the processors of each rank of the host, this one's among them.
  package static func share(of own: Set<Int>, among all: [Set<Int>]) -> Int {
    // Those with equally many users together, so that nine processors of three ranks are three, not 2.999….
    let byUsers = Dictionary(grouping: own) { processor in max(1, all.count { $0.contains(processor) }) }
    return Int(byUsers.reduce(1e-9) { $0 + Double($1.value.count) / Double($1.key) })
  }
}

/// What started this process as a rank, as far as it tells how many processors it had to give.
private struct Launcher {
  /// On this host.
  let processors: Int
  let remedy: String

  private static let ofOpenMPI: Set = ["mpirun", "mpiexec", "orterun", "orted", "prterun", "prte", "prted"]

  static var current: Launcher? {
    let environment = ProcessInfo.processInfo.environment
    let parent = getppid()
    let name = (try? String(contentsOfFile: "/proc/\(parent)/comm", encoding: .utf8)) ?? ""
    if ofOpenMPI.contains(name.trimmingCharacters(in: .newlines)) {
      return Launcher(
        processors: Processor.affinity(of: parent).count,
        remedy: "give mpirun --bind-to none, as launch/local does, or --map-by slot:PE=THREADS")
    }
    // Slurm's own daemon starts these.
    guard environment["SLURM_STEP_ID"] != nil, let count = environment["SLURM_CPUS_ON_NODE"].flatMap({ Int($0) }) else {
      return nil
    }
    return Launcher(processors: count, remedy: "give srun --cpus-per-task=THREADS, as launch/slurm does")
  }
}
