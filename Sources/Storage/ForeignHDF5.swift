import Failures
import Files
import Foundation
import Machine
import Synchronization

/// HDF5 files that a user hands over. Damaged or hostile metadata can make the library loop or crash, and a digest can
/// be made anew by whoever means harm; so such a file is first walked by a process of its own, with a limit on its time
/// and memory, which does to it all that ours will do.
public enum ForeignHDF5 {
  /// The hidden command under which `ala` walks a file and ends.
  public static let command = "probe-hdf5"
  private static let seconds = 20
  private static let memory: rlim_t = 8 << 30

  /// In the child: opens whatever is in the file, reads what our files hold, and ends the process.
  public static func walk(_ path: String) -> Never {
    var time = rlimit(rlim_cur: rlim_t(seconds), rlim_max: rlim_t(seconds))
    setrlimit(__rlimit_resource_t(RLIMIT_CPU.rawValue), &time)
    var space = rlimit(rlim_cur: memory, rlim_max: memory)
    setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &space)
    do {
      let file = try HDF5File.open(path)
      _ = try file.attributes()
      for dataset in try file.everything() { try file.visit(dataset) }
      try file.close()
      exit(0)
    } catch {
      StandardOutput.note((error as? Failure)?.message ?? "\(error)")
      exit(1)
    }
  }

  /// A file as it was when it was found sound.
  private struct Sight: Hashable {
    let device: UInt
    let inode: UInt
    let size: Int
    let changed: [Int]

    init?(_ path: String) {
      var status = stat()
      guard stat(path, &status) == 0 else { return nil }
      device = UInt(status.st_dev)
      inode = UInt(status.st_ino)
      size = Int(status.st_size)
      changed = [status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec, status.st_ctim.tv_nsec]
    }
  }

  private static let sound = Mutex<Set<Sight>>([])

  /// Finds out whether a file can be read here; once for each file.
  ///
  /// - Parameter probe: the `ala` program.
  /// - Throws: `Failure` 65 where it cannot; 69 where somebody holds its lock.
  public static func check(_ path: String, probe: String = ChildProcess.ownProgram) throws {
    let sight = Sight(path)
    if let sight, sound.withLock({ $0.contains(sight) }) { return }
    try HDF5File.checkUnlocked(path)
    switch ChildProcess.run(probe, [command, path], seconds: Double(seconds) * 1.5) {
    case .ended(code: 0, _): if let sight { _ = sound.withLock { $0.insert(sight) } }
    case .ended(code: 1, let reason) where reason.hasPrefix(path):
      throw Failure.badData(reason.trimmingCharacters(in: .whitespacesAndNewlines))
    case .ended, .died: throw Failure.badData("\(path): is no sound HDF5 file: what reads it dies of it")
    case .ranOutOfTime: throw Failure.badData("\(path): is no sound HDF5 file: reading it does not end")
    case .didNotStart: throw Failure.unavailable("\(path): cannot be examined: \(probe) does not start")
    }
  }
}
