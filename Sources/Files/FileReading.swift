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
