import Failures
import Foundation

/// What keeps something else in a file's place from being waited for, read without end or written into: a FIFO, a socket, a
/// device. A file that others may have put there is opened by nothing but these.

/// Opens a regular file for reading.
///
/// - Returns: a descriptor that children do not inherit, which the caller closes, and what the file is.
/// - Throws: `Failure` 66 where it cannot be opened (69 for want of memory or descriptors), 65 where it is no regular file.
public func openRegularFile(_ path: String) throws -> (descriptor: Int32, status: stat) {
  if let fault = irregularity(of: path) { throw Failure.badData("\(path): \(fault)") }
  let descriptor = open(path, O_RDONLY | withoutWaiting)
  guard descriptor >= 0 else {
    let number = errno
    if number == ENOENT { throw Failure.missingInput("\(path): is missing") }
    throw Failure.ofCall(.missingInput, "\(path): cannot be opened", number)
  }
  var status = stat()
  guard fstat(descriptor, &status) == 0 else {
    let failure = cannotRead(path)
    close(descriptor)
    throw failure
  }
  if let fault = irregularity(status) {
    close(descriptor)
    throw Failure.badData("\(path): \(fault)")
  }
  return (descriptor, status)
}

/// Opens a file that is written, for messages under the name of what it is to become.
///
/// - Returns: a descriptor that children do not inherit; the caller closes it.
/// - Throws: `Failure` 73, also where it is there and no regular file.
public func openForWriting(_ path: String, _ flags: Int32, for name: String? = nil) throws -> Int32 {
  let name = name ?? path
  if let fault = irregularity(of: path) { throw Failure.cannotWrite("\(name): \(fault)") }
  let descriptor = open(path, flags | withoutWaiting, 0o644)
  guard descriptor >= 0 else { throw cannotWrite(name) }
  var status = stat()
  if fstat(descriptor, &status) == 0, let fault = irregularity(status) {
    close(descriptor)
    throw Failure.cannotWrite("\(name): \(fault)")
  }
  return descriptor
}

/// Why a file that is open is not read (`errno`): 66 or 69, for that says nothing of what is in it.
public func cannotRead(_ path: String) -> Failure { Failure.ofCall(.missingInput, "\(path): cannot be read") }

/// Whether a failure tells of the file itself, which was read and is wrong, is no regular file, or is not there; else it may
/// be sound, and cannot be read by this process at this moment.
public func isFault(_ failure: Failure, of path: String) -> Bool {
  if failure.code == .badData { return true }
  var status = stat()
  return failure.code == .missingInput && stat(path, &status) != 0 && [ENOENT, ENOTDIR, ELOOP].contains(errno)
}

/// What has come between a look at a name and its opening is not waited for either.
private let withoutWaiting = O_CLOEXEC | O_NONBLOCK | O_NOCTTY

/// What a path leads to instead of a regular file, to stand behind it in a message. It is not opened: a socket cannot be, and
/// a device may do something of its own then.
///
/// - Returns: nil for a regular file, and where there is nothing or it cannot be known.
public func irregularity(of path: String) -> String? {
  var status = stat()
  return stat(path, &status) == 0 ? irregularity(status) : nil
}

private func irregularity(_ status: stat) -> String? {
  let kind: String
  switch status.st_mode & S_IFMT {
  case S_IFREG: return nil
  case S_IFDIR: kind = "a folder"
  case S_IFIFO: kind = "a FIFO"
  case S_IFSOCK: kind = "a socket"
  case S_IFCHR, S_IFBLK: kind = "a device"
  default: kind = "something else"
  }
  return "is \(kind); expected a regular file"
}
