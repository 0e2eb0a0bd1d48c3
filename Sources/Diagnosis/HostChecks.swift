import Failures
import Foundation
import Machine

/// What the ranks of one host share: its processors, its memory. Checked by one rank a host.

/// Threads of all ranks of a host against the processors that they may use.
///
/// - Parameters:
///   - threads: of each rank of the host.
///   - processors: that any of them may use; `online`: that the host has.
///   - quota: processors' worth of time that a container allows; nil without a limit.
///   - isLaunched: under `mpirun`, which may bind ranks to processors.
package func checkThreads(threads: [Int], processors: Int, online: Int, quota: Double?, isLaunched: Bool) -> Finding {
  let total = threads.reduce(0, +)
  let each = Set(threads).count == 1 ? "\(threads[0])" : threads.map(String.init).joined(separator: " + ")
  let ranks = "\(threads.count) rank\(threads.count == 1 ? "" : "s")"
  let of = online > processors ? "\(processors) of \(online)" : "\(processors)"
  let text = "\(ranks) x \(each) thread\(each == "1" ? "" : "s") on \(of) processors"
  if total > processors {
    return .note("threads", "\(text): they take turns", "start fewer ranks, or fewer --threads")
  }
  if let quota, Double(total) > quota.rounded(.up) {
    return .note(
      "threads", "\(text), of which the container may use \(String(format: "%.1f", quota)) at a time",
      "lower --threads, or raise the limit")
  }
  if isLaunched, processors < online {
    return .note(
      "threads", "\(text): ranks are bound", "give mpirun --bind-to none, or leave it so where others use the rest")
  }
  if total < processors {
    return .note(
      "threads", "\(text): \(processors - total) idle", "choose ranks or --threads that divide the processors")
  }
  return .ok("threads", text)
}

/// - Parameter ranks: on this host.
package func checkMemory(_ memory: HostMemory, ranks: Int) -> Finding {
  let text =
    "\(gibibytes(memory.available)) of \(gibibytes(memory.total)) available"
    + (memory.limit.map { ", the container's limit is \(gibibytes($0))" } ?? "")
  let needed = Double(ranks) * Double(1 << 30)
  guard min(memory.available, memory.limit ?? .infinity) >= needed else {
    return .note("memory", text, "training ViT-B/16 takes about 1 GiB a rank: start fewer ranks, or free memory")
  }
  return .ok("memory", text)
}

/// Ranks of a host hold one copy of an encoder that has to be converted, in `/dev/shm`.
package func checkSharedMemory(free: Double?) -> Finding {
  guard let free else {
    return .problem("shared-mem", "/dev/shm: \(systemReason())", "mount a tmpfs at /dev/shm")
  }
  let text = "/dev/shm: \(gibibytes(free)) free"
  return free < Double(1 << 29)
    ? .note(
      "shared-mem", text, "an encoder in half precision takes up to 0.4 GiB (ViT-B/16) there; for Docker, --shm-size")
    : .ok("shared-mem", text)
}

/// Sizes in bytes.
package struct HostMemory {
  package let total: Double
  package let available: Double
  package let limit: Double?

  package init(total: Double, available: Double, limit: Double?) {
    (self.total, self.available, self.limit) = (total, available, limit)
  }

  package static func read() -> HostMemory {
    let lines = (try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8))?.split(separator: "\n") ?? []
    func kibibytes(_ key: String) -> Double {
      let line = lines.first { $0.hasPrefix("\(key):") }
      return (line?.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) * 1024
    }
    let total = kibibytes("MemTotal")
    return HostMemory(
      total: total, available: kibibytes("MemAvailable"), limit: MemoryLimit.ofControlGroup(memory: total)?.limit)
  }

  static func freeSharedMemory() -> Double? {
    var system = statvfs()
    guard statvfs("/dev/shm", &system) == 0 else { return nil }
    return Double(system.f_bavail) * Double(system.f_frsize)
  }
}

/// Processors' worth of time that a control group allows.
func processorQuota() -> Double? {
  let version2 =
    (try? String(contentsOfFile: "/sys/fs/cgroup/cpu.max", encoding: .utf8))?
    .split(whereSeparator: \.isWhitespace).compactMap { Double($0) } ?? []
  if version2.count == 2, version2[1] > 0 { return version2[0] / version2[1] }
  guard let quota = firstNumber("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), quota > 0,
    let period = firstNumber("/sys/fs/cgroup/cpu/cpu.cfs_period_us"), period > 0
  else { return nil }
  return quota / period
}

private func firstNumber(_ path: String) -> Double? {
  (try? String(contentsOfFile: path, encoding: .utf8))?.split(whereSeparator: \.isWhitespace).first.flatMap {
    Double($0)
  }
}
