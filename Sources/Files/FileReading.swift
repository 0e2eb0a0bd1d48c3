import Failures
import Foundation

/// Fills `buffer` from an open file.
///
/// - Parameters:
///   - position: in the file, in bytes.
///   - path: for the message.
/// - Throws: `Failure` 65 where the file ends before, or cannot be read.
public func readFully(
  _ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at position: Int, path: String
) throws {
  var done = 0
  while done < buffer.count {
    let count = pread(
      descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(position + done))
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else { throw Failure.badData("\(path): cannot be read: \(systemReason())") }
    guard count > 0 else { throw Failure.badData("\(path): ends before its data do") }
    done += count
  }
}

/// Opens a regular file, never waiting as for a pipe that nobody writes to.
///
/// - Returns: a descriptor that children do not inherit, which the caller closes, and what the file is.
/// - Throws: `Failure` 66 where it cannot be opened, 65 where it is no regular file.
public func openRegularFile(_ path: String) throws -> (descriptor: Int32, status: stat) {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else {
    throw Failure.missingInput("\(path): \(errno == ENOENT ? "is missing" : "cannot be opened: \(systemReason())")")
  }
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
    close(descriptor)
    throw Failure.badData("\(path): is \(status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "no regular file")")
  }
  return (descriptor, status)
}

/// The first bytes of a regular file, `count` at most.
///
/// - Throws: as `openRegularFile`.
public func readBeginning(of path: String, count: Int) throws -> [UInt8] {
  try read(path) { min(count, $0) }
}

/// A whole regular file.
///
/// - Parameter most: bytes that such a file may have.
/// - Throws: as `openRegularFile`, and `Failure` 65 where it is larger.
public func readFile(_ path: String, most: Int) throws -> [UInt8] {
  try read(path) { size in
    guard size <= most else { throw Failure.badData("\(path): has \(size) bytes; expected at most \(most)") }
    return size
  }
}

/// Whether a path leads to a pipe: one process reads it, once.
public func isPipe(_ path: String) -> Bool {
  var status = stat()
  return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
}

/// All that a pipe, a terminal or another device gives, once; or a whole regular file.
///
/// - Parameters:
///   - most: bytes that there may be.
///   - seconds: to wait for each part of a pipe.
/// - Throws: `Failure` 66 where it cannot be opened, 65 where it is a folder, gives more, or nobody writes into it.
public func readStream(_ path: String, most: Int, seconds: Double = 30) throws -> [UInt8] {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
  guard descriptor >= 0 else { throw Failure.missingInput("\(path): cannot be opened: \(systemReason())") }
  defer { close(descriptor) }
  var status = stat()
  guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
    throw Failure.badData("\(path): is a folder")
  }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 1 << 16)
  while bytes.count <= most {
    var wait = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
    guard poll(&wait, 1, Int32(seconds * 1000)) != 0 else {
      throw Failure.badData("\(path): gave nothing for \(Int(seconds)) s")
    }
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0 && (errno == EINTR || errno == EAGAIN) { continue }
    guard count >= 0 else { throw Failure.badData("\(path): cannot be read: \(systemReason())") }
    guard count > 0 else { return bytes }
    bytes += buffer[..<count]
  }
  throw Failure.badData("\(path): has more than \(most) bytes")
}

/// - Parameter choose: how much of a file of the given size.
private func read(_ path: String, _ choose: (Int) throws -> Int) throws -> [UInt8] {
  let (descriptor, status) = try openRegularFile(path)
  defer { close(descriptor) }
  let count = try choose(Int(status.st_size))
  return try [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
    let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
    try readFully(room, from: descriptor, at: 0, path: path)
    initialized = count
  }
}
