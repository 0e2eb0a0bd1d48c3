import Failures
import Files
import Foundation

/// An image file opened to be read. Files are untrusted input.
final class ImageFile {
  let path: String
  /// Bytes.
  let size: Int
  let format: ImageFormat
  private let descriptor: Int32
  /// A part of the file that has been read.
  private var window: (start: Int, bytes: [UInt8])

  /// No photograph's file is larger.
  private static let mostBytes = 1 << 30
  static let windowCount = 4096

  /// - Throws: `Failure` 66 where there is no such file, 65 where it is no JPEG or PNG file.
  init(path: String) throws {
    self.path = path
    let status: stat
    (descriptor, status) = try openRegularFile(path)
    do {
      size = Int(status.st_size)
      guard size <= Self.mostBytes else {
        throw Failure.badData("\(path): has \(size) bytes; expected an image file of at most \(Self.mostBytes)")
      }
      let head = try Self.read(descriptor, at: 0, count: min(size, Self.windowCount), path: path)
      window = (0, head)
      guard let format = ImageFormat(head) else {
        throw Failure.badData("\(path): \(foreignFormat(Array(head.prefix(ImageFormat.headCount))))")
      }
      self.format = format
    } catch {
      close(descriptor)
      throw error
    }
  }

  deinit { close(descriptor) }

  func unreadable(_ reason: String) -> Failure {
    Failure.badData("\(path): is an unreadable \(format.name): \(reason)")
  }

  /// All of its bytes.
  func bytes() throws -> [UInt8] { try Self.read(descriptor, at: 0, count: size, path: path) }

  /// The bytes at an offset; fewer than `count` at the end of the file.
  func bytes(at offset: Int, count: Int) throws -> ArraySlice<UInt8> {
    let end = min(offset + count, size)
    guard offset >= 0, offset < end else { return [] }
    if offset < window.start || end > window.start + window.bytes.count {
      let wanted = min(max(count, Self.windowCount), size - offset)
      window = (offset, try Self.read(descriptor, at: offset, count: wanted, path: path))
    }
    return window.bytes[(offset - window.start)..<(end - window.start)]
  }

  /// A number of `count` bytes, the highest first; nil behind the end of the file.
  func number(at offset: Int, count: Int) throws -> Int? {
    let bytes = try bytes(at: offset, count: count)
    return bytes.count == count ? bytes.reduce(0) { $0 << 8 | Int($1) } : nil
  }

  private static func read(_ descriptor: Int32, at offset: Int, count: Int, path: String) throws -> [UInt8] {
    try [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      while done < count {
        let step = pread(descriptor, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset + done))
        if step < 0, errno == EINTR { continue }
        guard step >= 0 else { throw Failure.ofCall(.missingInput, "\(path): cannot be read to its end") }
        guard step > 0 else { throw Failure.badData("\(path): cannot be read to its end") }
        done += step
      }
    }
  }
}
