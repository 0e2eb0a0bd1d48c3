import Foundation

/// Shared memory that runs have left behind: when every process of a job is killed at once, nobody removes it.

/// Names that Open MPI and `ala` give their segments.
private let segmentMarks = ["vader_segment.", "sm_segment.", "openmpi-", "osc_rdma_", "ala-"]

/// Names those of this user's segments that no process holds.
///
/// - Parameters:
///   - folder: where shared memory lies.
///   - processes: of the host, as Linux tells of them.
package func checkLeftovers(folder: String = "/dev/shm", processes: String = "/proc") -> Finding {
  let names = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter { name in
    segmentMarks.contains { name.hasPrefix($0) }
  }
  var bytes = 0
  let held = names.isEmpty ? [] : heldFiles(folder, processes)
  let left = names.sorted().filter { name in
    var status = stat()
    // Other users' processes cannot be looked into.
    guard lstat("\(folder)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
      !held.contains("\(folder)/\(name)")
    else { return false }
    bytes += Int(status.st_blocks) * 512
    return true
  }
  guard !left.isEmpty else { return .ok("leftovers", "\(folder): no segments of ended runs") }
  let shown = left.prefix(4).map { "\(folder)/\($0)" }.joined(separator: " ")
  let more = left.count > 4 ? " and \(left.count - 4) more" : ""
  return .note(
    "leftovers",
    "\(folder): \(left.count) segment\(left.count == 1 ? "" : "s") of ended runs, "
      + "\(String(format: "%.1f MiB", Double(bytes) / 1_048_576)): \(shown)\(more)",
    "no process of this host holds them: remove them (rm), for their memory is not free until then")
}

/// The files of a folder that a process has mapped or open.
private func heldFiles(_ folder: String, _ processes: String) -> Set<String> {
  var held: Set<String> = []
  let manager = FileManager.default
  for id in (try? manager.contentsOfDirectory(atPath: processes)) ?? [] where Int(id) != nil {
    let maps = (try? String(contentsOfFile: "\(processes)/\(id)/maps", encoding: .utf8)) ?? ""
    for line in maps.split(separator: "\n") {
      if let place = line.range(of: "\(folder)/") { held.insert(String(line[place.lowerBound...])) }
    }
    for file in (try? manager.contentsOfDirectory(atPath: "\(processes)/\(id)/fd")) ?? [] {
      if let path = try? manager.destinationOfSymbolicLink(atPath: "\(processes)/\(id)/fd/\(file)") {
        held.insert(path)
      }
    }
  }
  return held
}
