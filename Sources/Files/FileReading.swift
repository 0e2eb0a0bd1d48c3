import Failures
import Foundation

/// Fills `buffer` from an open file.
///
/// - Parameters:
///   - position: in the file, in bytes.
///   - path: for the message.
/// - Throws: `Failure` 65 where the file ends before, 66 where it cannot be read.
public func readFully(
  _ buffer: UnsafeMutableRawBufferPointer, from descriptor: Int32, at position: Int, path: String
) throws {
  var done = 0
  while done < buffer.count {
    let count = pread(
      descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, off_t(position + done))
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else { throw cannotRead(path) }
    guard count > 0 else { throw Failure.badData("\(path): ends before its data do") }
    done += count
  }
}

/// The first bytes of a regular file, `count` at most.
///
/// - Throws: as `openRegularFile`.
public func readBeginning(of path: String, count: Int) throws -> [UInt8] {
  try read(path) { 0..<min(count, $0) }
}

/// The last bytes of a regular file, `count` at most.
///
/// - Throws: as `openRegularFile`.
public func readEnd(of path: String, count: Int) throws -> [UInt8] {
  try read(path) { max($0 - count, 0)..<$0 }
}

/// A whole regular file.
///
/// - Parameter most: bytes that such a file may have.
/// - Throws: as `openRegularFile`, and `Failure` 65 where it is larger.
public func readFile(_ path: String, most: Int) throws -> [UInt8] {
  try read(path) { size in
    guard size <= most else { throw Failure.badData("\(path): has \(size) bytes; expected at most \(most)") }
    return 0..<size
  }
}

/// A whole regular file of UTF-8.
///
/// - Throws: as `readFile`, and `Failure` 65 where it is no such text.
public func readText(_ path: String, most: Int) throws -> String {
  guard let text = String(validating: try readFile(path, most: most), as: UTF8.self) else {
    throw Failure.badData("\(path): is not UTF-8 text")
  }
  return text
}

/// The bytes of a regular file from an offset on, in pieces of some MiB.
///
/// - Throws: as `openRegularFile`; what `take` throws.
public func readPieces(of path: String, from start: Int = 0, _ take: (UnsafeRawBufferPointer) throws -> Void) throws {
  let (descriptor, _) = try openRegularFile(path)
  defer { close(descriptor) }
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 64)
  defer { buffer.deallocate() }
  var position = start
  while true {
    let count = pread(descriptor, buffer.baseAddress, buffer.count, off_t(position))
    if count < 0 && errno == EINTR { continue }
    guard count >= 0 else { throw cannotRead(path) }
    guard count > 0 else { return }
    try take(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    position += count
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
  guard descriptor >= 0 else { throw Failure.ofCall(.missingInput, "\(path): cannot be opened") }
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
    guard count >= 0 else { throw cannotRead(path) }
    guard count > 0 else { return bytes }
    bytes += buffer[..<count]
  }
  throw Failure.badData("\(path): has more than \(most) bytes")
}

/// - Parameter choose: which bytes of a file of the given size.
private func read(_ path: String, _ choose: (Int) throws -> Range<Int>) throws -> [UInt8] {
  let (descriptor, status) = try openRegularFile(path)
  defer { close(descriptor) }
  let range = try choose(Int(status.st_size))
  return try [UInt8](unsafeUninitializedCapacity: range.count) { buffer, initialized in
    let room = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<range.count])
    try readFully(room, from: descriptor, at: range.lowerBound, path: path)
    initialized = range.count
  }
}
