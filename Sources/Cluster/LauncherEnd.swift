import Foundation
import Machine

/// Ends `mpirun`, or its daemon on this host, where it does not end by itself: cut off from a host, it waits for that
/// host's daemon until the system gives the connection up, a quarter of an hour.
enum LauncherEnd {
  /// That a launcher has to end by itself, once a rank has left with the job's verdict.
  static let seconds = 10

  private static let names = ["mpirun", "mpiexec", "orterun", "orted", "prte"]
  /// Shells between a launcher and a rank.
  private static let mostBetween = 4
  /// Of `/proc/PID/stat`, from its field 3 on.
  private static let (parentField, startField) = (1, 19)

  /// The nearest launcher above this process, with the time of its start, by which its number is known for its own.
  private static func launcher() -> (process: Int32, start: Substring)? {
    var process = getppid()
    for _ in 0...mostBetween where process > 1 {
      guard let status = Processes.status(of: process), status.count > startField else { return nil }
      let name = (try? String(contentsOfFile: "/proc/\(process)/comm", encoding: .utf8)) ?? ""
      if names.contains(where: name.hasPrefix) { return (process, status[startField]) }
      process = Int32(status[parentField]) ?? 0
    }
    return nil
  }

  /// Leaves a process behind that kills the launcher if it is still there by then. This one is about to end.
  static func arrange() {
    guard let launcher = launcher() else { return }
    let script = """
      sleep "$3"; read -r line <"/proc/$1/stat" || exit; set -- "$1" "$2" ${line##*) }
      [ "${22}" != "$2" ] || kill -KILL "$1"
      """
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script, "sh", "\(launcher.process)", String(launcher.start), "\(Self.seconds)"]
    process.environment = ["PATH": "/usr/bin:/bin"]
    // A launcher waits until nobody holds its rank's output, and ends the rank's group, which is not that of a `Process`.
    (process.standardInput, process.standardOutput, process.standardError) =
      (FileHandle.nullDevice, FileHandle.nullDevice, FileHandle.nullDevice)
    try? process.run()
  }
}
