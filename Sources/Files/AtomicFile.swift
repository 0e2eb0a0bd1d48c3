import Digests
import Failures
import Foundation

/// Files that appear whole or not at all: written beside their place, synced, renamed, and the folder synced.

/// Makes `path` hold `bytes` in one step; a reader sees the old file or the new one, never a part.
///
/// - Throws: `Failure` 73 naming the path; the earlier file is left as it was.
public func writeAtomically(_ bytes: UnsafeRawBufferPointer, to path: String) throws {
  try writeAtomically(to: path) { try $0(bytes) }
}

/// The same for a file that is written part by part: `body` hands each to the function that it is given.
public func writeAtomically(to path: String, _ body: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void) throws {
  try makeAtomically(path) { temporary in
    let descriptor = try openForWriting(temporary, O_WRONLY | O_CREAT | O_TRUNC, for: path)
    defer { close(descriptor) }
    try body { try writeFully($0, to: descriptor, path: path) }
  }
}

/// The same for a file that a library writes by itself: `build` makes it under the name that it is given, beside
/// `path`, where it is removed if `build` throws.
///
/// - Throws: what `build` throws; `Failure` 73 naming the path, also where something else than a file has it.
public func makeAtomically(_ path: String, _ build: (_ temporary: String) throws -> Void) throws {
  if let fault = irregularity(of: path) { throw Failure.cannotWrite("\(path): \(fault)") }
  let temporary = temporaryName(for: path)
  do {
    try build(temporary)
    guard syncFile(temporary), rename(temporary, path) == 0 else { throw cannotWrite(path) }
  } catch let failure as Failure where failure.code == .missingInput && failure.message.hasPrefix(temporary) {
    // Some read again what they have written.
    unlink(temporary)
    throw Failure.cannotWrite("\(path): has vanished while it was written: its folder was removed or replaced")
  } catch {
    unlink(temporary)
    throw error
  }
  syncFolder(of: path)
}

/// Stands, before a number, at the end of the name of a file that is not there to stay: that of the process that writes
/// it, where it is not whole yet, where that number counts (`TemporaryOwner`), and digits that nobody else has.
public let temporaryMark = ".tmp-"

/// A name beside `path` that nobody else uses.
func temporaryName(for path: String) -> String {
  let owner = TemporaryOwner.current
  return path + temporaryMark
    + String(format: "%d-%08x-%08x", owner.process, owner.place, UInt32.random(in: 0 ... .max))
}

/// Whose a temporary name is.
struct TemporaryOwner: Equatable {
  let process: Int32
  /// Of the host's name and the namespace of processes: elsewhere another process may have the number.
  let place: UInt32

  static var current: TemporaryOwner { TemporaryOwner(process: getpid(), place: ownPlace) }

  private static let ownPlace: UInt32 = {
    var host = [CChar](repeating: 0, count: 256)
    gethostname(&host, host.count - 1)
    let namespace = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/ns/pid")) ?? ""
    var sum = CRC32()
    host.withUnsafeBytes { sum.update($0) }
    Array(namespace.utf8).withUnsafeBytes { sum.update($0) }
    return sum.value
  }()

  private init(process: Int32, place: UInt32) { (self.process, self.place) = (process, place) }

  /// Of a name that tells it.
  init?(ofTemporary name: String) {
    guard let mark = name.range(of: temporaryMark, options: .backwards),
      let parts = name[mark.upperBound...].wholeMatch(of: /([0-9]+)-([0-9a-f]{8})-[0-9a-f]{8}/),
      let process = Int32(parts.1), let place = UInt32(parts.2, radix: 16)
    else { return nil }
    self.init(process: process, place: place)
  }

  /// Whether it is known to have ended. Of a process elsewhere nothing is known.
  var isGone: Bool { place == Self.ownPlace && kill(process, 0) != 0 && errno == ESRCH }
}

/// Whether a name is one of `temporaryName`'s, or of an earlier version's.
private func isTemporary(_ name: String) -> Bool {
  guard let mark = name.range(of: temporaryMark, options: .backwards) else { return false }
  return name[mark.upperBound...].wholeMatch(of: /[0-9]+(-[0-9a-f]{8}){0,2}/) != nil
}

/// Removes files of a folder that were being written when their process died.
///
/// - Parameter files: names of those that they were to become; nil for all.
public func removeTemporaries(in folder: String, of files: [String]? = nil) {
  for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
    if let files, !files.contains(where: { name.hasPrefix($0 + temporaryMark) }) { continue }
    guard isTemporary(name) else { continue }
    unlink("\(folder)/\(name)")
  }
}

public func writeAtomically(_ text: String, to path: String) throws {
  var text = text
  try text.withUTF8 { try writeAtomically(UnsafeRawBufferPointer($0), to: path) }
}

public func writeAtomically(_ bytes: [UInt8], to path: String) throws {
  try bytes.withUnsafeBytes { try writeAtomically($0, to: path) }
}

private func syncFile(_ path: String) -> Bool {
  guard let (descriptor, _) = try? openRegularFile(path) else { return false }
  defer { close(descriptor) }
  return fsync(descriptor) == 0
}

/// Makes a rename or unlink in the folder of `path` durable; some file systems offer no such call, hence no error.
public func syncFolder(of path: String) {
  let folder = parentFolder(of: path)
  let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  fsync(descriptor)
  close(descriptor)
}

/// Makes a folder and those above it.
///
/// - Throws: `Failure` 73 naming the path.
public func makeFolder(_ path: String) throws {
  guard let reason = makeFolderChain(path) else { return }
  throw Failure.cannotWrite("\(path): cannot make this folder: \(reason)")
}

/// Makes the folder that a file is to lie in, and those above it.
///
/// - Throws: `Failure` 73 naming the folder.
public func makeFolder(of file: String) throws {
  let folder = parentFolder(of: file)
  if !folder.isEmpty { try makeFolder(folder) }
}

/// Refuses a folder that could not be made, or be written into, as far as can be seen without making it.
///
/// - Throws: `Failure` 73.
public func checkFolder(_ path: String) throws {
  var place = path
  var status = stat()
  while stat(place, &status) != 0 {
    let code = errno
    guard [ENOENT, ENOTDIR].contains(code), place != "." else {
      throw Failure.cannotWrite("\(path): cannot make this folder: \(place): \(systemReason(code))")
    }
    let parent = parentFolder(of: place)
    place = parent.isEmpty ? "." : parent
  }
  let isFolder = status.st_mode & S_IFMT == S_IFDIR
  if isFolder, access(place, W_OK | X_OK) == 0 { return }
  let reason = isFolder ? "\(place): \(systemReason())" : "\(place) is there, and no folder"
  throw Failure.cannotWrite("\(path): cannot make this folder: \(reason)")
}

/// - Returns: why it cannot be made; nil where it is there.
private func makeFolderChain(_ path: String) -> String? {
  if mkdir(path, 0o777) == 0 { return nil }
  let code = errno
  var status = stat()
  if stat(path, &status) == 0 { return status.st_mode & S_IFMT == S_IFDIR ? nil : "a file of this name is there" }
  let parent = parentFolder(of: path)
  guard code == ENOENT, !parent.isEmpty, parent != path else { return systemReason(code) }
  if let reason = makeFolderChain(parent) { return reason }
  return mkdir(path, 0o777) == 0 || errno == EEXIST ? nil : systemReason()
}

/// Writes all bytes to an open descriptor; `path` is for the message.
public func writeFully(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws {
  var offset = 0
  while offset < bytes.count {
    let count = write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
    if count < 0 {
      if errno == EINTR || (errno == EAGAIN && isWritable(descriptor)) { continue }
      throw cannotWrite(path)
    }
    offset += count
  }
}

/// Waits until a descriptor that does not block by itself takes bytes again.
private func isWritable(_ descriptor: Int32) -> Bool {
  var wait = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
  return poll(&wait, 1, -1) >= 0 || errno == EINTR
}

/// The last failed call's reason (`errno`) why a file is not written.
public func cannotWrite(_ path: String) -> Failure {
  Failure.ofCall(.cannotWrite, "\(path): cannot be written")
}
