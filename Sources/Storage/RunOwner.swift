import Files
import Foundation
import Machine

/// Who uses a run's folder, as it stands in the lock file and in the owner file.
package struct RunOwner: Codable, Equatable {
  package let host: String
  /// Of the host's start: after another one no process of this owner lives.
  package let boot: String
  /// In which its id counts: containers of one host may have its name and each a process of that id. Nil where it is not
  /// known.
  package let pidNamespace: String?
  package let pid: Int32
  /// In the clock ticks of `/proc/PID/stat` since the host's start; tells a process from a later one of the same id.
  package let processStart: String
  /// Seconds since 1970 at which the folder was taken.
  package let since: Double
  package let command: String

  /// Its command is as long as the system lets one be.
  private static let mostBytes = 1 << 24

  package static func current() -> RunOwner {
    RunOwner(
      host: ownHost(), boot: ownBoot(), pidNamespace: ownPIDNamespace(), pid: getpid(),
      processStart: start(of: getpid()) ?? "",
      since: Date().timeIntervalSince1970.rounded(),
      command: CommandLine.arguments.map(shellWord).joined(separator: " "))
  }

  /// Whether its process is known to have ended. Of another host, and of another namespace of processes, nothing is known.
  var isGone: Bool {
    guard host == Self.ownHost() else { return false }
    guard boot == Self.ownBoot() else { return true }
    guard let pidNamespace, pidNamespace == Self.ownPIDNamespace() else { return false }
    return Self.start(of: pid) != processStart
  }

  /// "pid 71 on node1 for 3 min (ala train --config c.yaml)".
  var description: String {
    let seconds = Int(min(max(0, Date().timeIntervalSince1970 - since), 1e12))
    let age =
      seconds < 120 ? "\(seconds) s" : seconds < 7200 ? "\(seconds / 60) min" : "\(seconds / 3600) h"
    return "pid \(pid) on \(host) for \(age) (\(command.prefix(200)))"
  }

  /// Reads what stands in a file; nil where it names no owner.
  package init?(path: String) {
    guard let bytes = try? readFile(path, most: Self.mostBytes),
      let owner = try? JSONDecoder().decode(RunOwner.self, from: Data(bytes))
    else { return nil }
    self = owner
  }

  package init(
    host: String, boot: String, pidNamespace: String?, pid: Int32, processStart: String, since: Double, command: String
  ) {
    (self.host, self.boot, self.pidNamespace) = (host, boot, pidNamespace)
    (self.pid, self.processStart) = (pid, processStart)
    (self.since, self.command) = (since, command)
  }

  /// One line of JSON.
  package var text: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return ((try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? "") + "\n"
  }

  private static func ownHost() -> String {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private static func ownBoot() -> String {
    let text = try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
    return (text ?? "").trimmingCharacters(in: .whitespacesAndNewlines)
  }

  private static func ownPIDNamespace() -> String? {
    try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")
  }

  /// Field 22; nil where there is no such process.
  private static func start(of pid: Int32) -> String? {
    // A zombie has ended, and only waits to be asked how.
    guard let fields = Processes.status(of: pid), fields.count > 19, fields[0] != "Z" else { return nil }
    return String(fields[19])
  }
}
