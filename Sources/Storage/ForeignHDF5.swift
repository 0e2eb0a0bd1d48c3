import Failures
import Foundation
import Machine

/// HDF5 files that we have not written. Damaged metadata can make the library loop, so such a file is first walked
/// by a process of its own, with a limit on its time and memory.
public enum ForeignHDF5 {
  /// The hidden command under which `ala` walks a file and ends.
  public static let command = "probe-hdf5"
  private static let seconds = 20
  private static let memory: rlim_t = 8 << 30

  /// In the child: walks `/model` and ends the process.
  public static func walk(_ path: String) -> Never {
    var time = rlimit(rlim_cur: rlim_t(seconds), rlim_max: rlim_t(seconds))
    setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &time)
    var space = rlimit(rlim_cur: memory, rlim_max: memory)
    setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &space)
    do {
      let file = try HDF5File.open(path)
      guard let names = file.names(in: "/model") else { exit(1) }
      for name in names { _ = try file.readArray("/model/\(name)", .float32, of: Float.self) }
      exit(0)
    } catch {
      exit(1)
    }
  }

  /// - Parameter probe: the `ala` program.
  /// - Throws: `Failure` 65 where the file cannot be walked; 69 where somebody holds its lock.
  static func check(_ path: String, probe: String) throws {
    try HDF5File.checkUnlocked(path)
    switch ChildProcess.run(probe, [command, path], seconds: Double(seconds) * 1.5) {
    case .ended(code: 0, _): return
    case .ended, .died:
      throw Failure.badData("\(path): is no sound HDF5 file with float tensors in a group /model")
    case .ranOutOfTime: throw Failure.badData("\(path): is no sound HDF5 file: reading it does not end")
    case .didNotStart: throw Failure.unavailable("\(path): cannot be examined: \(probe) does not start")
    }
  }
}
