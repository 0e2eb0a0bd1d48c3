import Failures
import Files
import Foundation
import Storage

/// What runs need of the folder that they write into: whole files by rename, locks, HDF5, room.
package struct FolderChecks {
  let folder: String
  /// Before the names of this rank's files, all of which are removed.
  let prefix: String

  package init(_ folder: String, rank: Int) {
    self.folder = folder
    prefix = "\(folder)/.ala-doctor-\(getpid())-\(rank)"
  }

  /// - Returns: findings `folder`, and where it can be written, `rename`, `locks`, `hdf5-file`.
  package func run() -> [Finding] {
    let writable = checkWriting()
    guard writable.verdict != .problem else { return [writable] }
    return [writable, checkRename(), checkLocks(), checkHDF5()]
  }

  private var reason: String { systemReason() }

  private func checkWriting() -> Finding {
    var information = stat()
    guard stat(folder, &information) == 0 else {
      return .problem("folder", "\(folder): \(reason)", "make it, or name another by --dir")
    }
    guard information.st_mode & S_IFMT == S_IFDIR else {
      return .problem("folder", "\(folder): is no folder", "name a folder by --dir")
    }
    let path = "\(prefix).write"
    defer { unlink(path) }
    do {
      try writeAtomically([UInt8](repeating: 1, count: 1 << 16), to: path)
    } catch {
      // Ranks write under names of their own, and say the same.
      let text = "\(error)".replacingOccurrences(of: path, with: folder)
      return .problem("folder", text, "make it writable, or name another folder by --dir")
    }
    var system = statvfs()
    guard statvfs(folder, &system) == 0 else {
      return .note("folder", "\(folder): its free space is unknown: \(reason)")
    }
    let free = Double(system.f_bavail) * Double(system.f_frsize)
    let text = "\(folder): written and synced; \(FileSystem.kind(of: folder)), \(gibibytes(free)) free"
    if system.f_files > 0, system.f_favail < 100 {
      return .problem(
        "folder", "\(text), \(system.f_favail) files more at most", "remove files, or name another folder by --dir")
    }
    // Three checkpoints and the best one of a ViT-B/16 model take 0.5 GiB; a cache of all of CUB, some hundred.
    return free < Double(1 << 30)
      ? .note("folder", text, "a run with its checkpoints needs about 1 GiB, a cache more") : .ok("folder", text)
  }

  /// A reader that holds the old file goes on reading it, and the name leads to the new one.
  private func checkRename() -> Finding {
    let path = "\(prefix).rename"
    let linked = "\(prefix).link"
    defer { for name in [path, linked] { unlink(name) } }
    do {
      try writeAtomically("old", to: path)
      guard let reader = FileHandle(forReadingAtPath: path) else {
        return .problem("rename", "\(path): cannot be read again: \(reason)", "name another folder by --dir")
      }
      defer { try? reader.close() }
      try writeAtomically("new", to: path)
      let old = try reader.readToEnd() ?? Data()
      let new = FileManager.default.contents(atPath: path) ?? Data()
      guard old == Data("old".utf8), new == Data("new".utf8) else {
        return .problem(
          "rename", "\(folder): renaming over a file does not replace it in one step", "use a POSIX file system")
      }
    } catch {
      return .problem("rename", "\(error)".replacingOccurrences(of: path, with: folder), "use a POSIX file system")
    }
    var missing: [String] = []
    if link(path, linked) != 0 { missing.append("no hard links (\(reason)): last.h5 and best.h5 are copies") }
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    if descriptor < 0 || fsync(descriptor) != 0 {
      missing.append("the folder cannot be synced (\(reason)): a power cut may undo the last rename")
    }
    if descriptor >= 0 { close(descriptor) }
    return missing.isEmpty
      ? .ok("rename", "atomic rename, sync of file and folder, hard links")
      : .note("rename", "atomic rename; " + missing.joined(separator: "; "))
  }

  /// The lock that keeps two runs out of one folder, as `RunLock` takes it.
  private func checkLocks() -> Finding {
    let path = "\(prefix).lock"
    defer { unlink(path) }
    let advice = "two runs in one folder would not notice each other: mount the file system with locks (flock)"
    let fallback = "mount it with locks (flock), or start runs of one folder from one host only"
    let first = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
    let second = open(path, O_RDWR | O_CLOEXEC)
    defer { if second >= 0 { close(second) } }
    guard first >= 0, second >= 0 else {
      let why = reason
      if first >= 0 { close(first) }
      return .problem("locks", "\(folder): cannot open a file twice: \(why)", advice)
    }
    switch FileLock.attempt(first) {
    case .held: break
    case .unsupported(let number):
      close(first)
      let why = systemReason(number)
      return .note("locks", "\(folder): has no locks (\(why)): runs name their owner in a file instead", fallback)
    case .taken, .failed:
      let why = reason
      close(first)
      return .problem("locks", "\(folder): cannot lock a file: \(why)", advice)
    }
    let isShared = FileLock.attempt(second) == .held
    close(first)
    guard !isShared else { return .problem("locks", "\(folder): a locked file could be locked again", advice) }
    guard FileLock.attempt(second) == .held else {
      return .problem("locks", "\(folder): a lock stays when its holder is gone: \(reason)", advice)
    }
    return .ok("locks", "a lock keeps others out and goes with its holder")
  }

  private func checkHDF5() -> Finding {
    let path = "\(prefix).h5"
    defer { unlink(path) }
    do {
      let values: [Float] = [1, 2, 3]
      let file = try HDF5File.create(path)
      try file.makeDataset("x", .float32, shape: [3])
      try values.withUnsafeBytes { bytes in
        if let base = bytes.baseAddress { try file.write("x", .float32, base) }
      }
      try file.close()
      guard try HDF5File.open(path).readArray("x", .float32, of: Float.self) == values else {
        return .problem("hdf5-file", "\(path): holds other values than were written", "name another folder by --dir")
      }
    } catch {
      let text = "\(error)".replacingOccurrences(of: path, with: folder)
      return .problem("hdf5-file", text, "if it is about locking, set HDF5_USE_FILE_LOCKING=FALSE")
    }
    return .ok("hdf5-file", "an HDF5 file written here reads back")
  }
}

enum FileSystem {
  /// The type of the file system that holds a path, by the longest mount point above it.
  static func kind(of folder: String) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    guard realpath(folder, &buffer) != nil else { return "unknown file system" }
    let path = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
    var best: (point: String, kind: String)?
    for line in mounts.split(separator: "\n") {
      let fields = line.split(separator: " ").map(String.init)
      guard fields.count > 2 else { continue }
      let holds = fields[1] == "/" || path == fields[1] || path.hasPrefix(fields[1] + "/")
      if holds, fields[1].count >= (best?.point.count ?? 0) { best = (fields[1], fields[2]) }
    }
    return best?.kind ?? "unknown file system"
  }
}

func gibibytes(_ bytes: Double) -> String { String(format: "%.1f GiB", bytes / Double(1 << 30)) }
