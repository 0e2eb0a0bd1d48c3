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
    guard let (process, start) = launcher() else { return }
    let script = """
      sleep "$3"; read -r line <"/proc/$1/stat" || exit; set -- "$1" "$2" ${line##*) }
      [ "${22}" != "$2" ] || kill -KILL "$1"
      """
    let words = ["sh", "-c", script, "sh", "\(process)", String(start), "\(seconds)"].map { strdup($0) }
    let environment = ["PATH=/usr/bin:/bin"].map { strdup($0) }
    defer { for word in words + environment { free(word) } }
    var attributes = posix_spawnattr_t()
    var actions = posix_spawn_file_actions_t()
    posix_spawnattr_init(&attributes)
    posix_spawn_file_actions_init(&actions)
    // A launcher ends its rank's whole group, and waits until nobody holds the rank's output.
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSID))
    for stream in 0...2 { posix_spawn_file_actions_addopen(&actions, Int32(stream), "/dev/null", O_RDWR, 0) }
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var child: pid_t = 0
    posix_spawn(&child, "/bin/sh", &actions, &attributes, words + [nil], environment + [nil])
  }
}
