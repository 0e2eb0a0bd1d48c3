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
  let temporary = temporaryName(for: path)
  let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
  guard descriptor >= 0 else { throw cannotWrite(path) }
  do {
    try body { try writeFully($0, to: descriptor, path: path) }
    guard fsync(descriptor) == 0 else { throw cannotWrite(path) }
  } catch {
    close(descriptor)
    unlink(temporary)
    throw error
  }
  close(descriptor)
  try publish(temporary, as: path)
}

public func writeAtomically(_ text: String, to path: String) throws {
  var text = text
  try text.withUTF8 { try writeAtomically(UnsafeRawBufferPointer($0), to: path) }
}

public func writeAtomically(_ bytes: [UInt8], to path: String) throws {
  try bytes.withUnsafeBytes { try writeAtomically($0, to: path) }
}

/// The name under which a file for `path` is built; the process id keeps two writers apart.
public func temporaryName(for path: String) -> String { "\(path).tmp-\(getpid())" }

/// Syncs a finished temporary file, renames it to its place and syncs the folder.
///
/// - Throws: `Failure` 73 naming the path; the temporary file is removed.
public func publish(_ temporary: String, as path: String) throws {
  guard syncFile(temporary), rename(temporary, path) == 0 else {
    let failure = cannotWrite(path)
    unlink(temporary)
    throw failure
  }
  syncFolder(of: path)
}

private func syncFile(_ path: String) -> Bool {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return false }
  defer { close(descriptor) }
  return fsync(descriptor) == 0
}

/// Makes a rename or unlink in the folder of `path` durable; some file systems offer no such call, hence no error.
public func syncFolder(of path: String) {
  let folder = (path as NSString).deletingLastPathComponent
  let descriptor = open(folder.isEmpty ? "." : folder, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return }
  fsync(descriptor)
  close(descriptor)
}

/// Makes a folder and those above it.
///
/// - Throws: `Failure` 73 naming the path.
public func makeFolder(_ path: String) throws {
  do {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  } catch {
    throw Failure.cannotWrite("\(path): cannot make this folder: \(error.localizedDescription)")
  }
}

/// Writes all bytes to an open descriptor; `path` is for the message.
public func writeFully(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String) throws {
  var offset = 0
  while offset < bytes.count {
    let count = write(descriptor, bytes.baseAddress! + offset, bytes.count - offset)
    if count < 0 {
      if errno == EINTR { continue }
      throw cannotWrite(path)
    }
    offset += count
  }
}

private func cannotWrite(_ path: String) -> Failure {
  Failure.cannotWrite("\(path): cannot be written: \(String(cString: strerror(errno)))")
}
