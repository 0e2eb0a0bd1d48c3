import Failures
import Foundation

/// Pages of memory, of a file or of nothing but themselves, which are unmapped with the last reference to them.
public final class MappedMemory: @unchecked Sendable {
  public let bytes: UnsafeRawBufferPointer

  /// Takes over pages that `mmap` has given.
  public init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Maps a whole file for reading, so that the processes of a machine share one copy; an empty one maps nothing.
  ///
  /// - Throws: `Failure` 66 where it cannot be opened, 65 where it is no regular file, 69 where it cannot be mapped.
  public convenience init(file path: String) throws {
    let (descriptor, status) = try openRegularFile(path)
    defer { close(descriptor) }
    let size = Int(status.st_size)
    guard size > 0 else {
      self.init(UnsafeRawBufferPointer(start: nil, count: 0))
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      throw Failure.unavailable("\(path): cannot be mapped: \(systemReason())")
    }
    self.init(UnsafeRawBufferPointer(start: base, count: size))
  }

  /// Makes pages of this process alone, which `fill` fills.
  ///
  /// - Throws: `Failure` 69 where there is no memory, and what `fill` throws.
  public convenience init(byteCount: Int, fill: (UnsafeMutableRawBufferPointer) throws -> Void) throws {
    guard let base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      base != MAP_FAILED
    else { throw Failure.unavailable("cannot get \(byteCount) bytes of memory: \(systemReason())") }
    let memory = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    self.init(UnsafeRawBufferPointer(memory))
    try fill(memory)
  }

  /// Gives back the memory of a file's pages that have been looked at; they are read again when used.
  ///
  /// - Parameter range: bytes; only pages that lie wholly in it are let go.
  public func forgetPages(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    guard end > start, let base = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, Int32(MADV_DONTNEED))
  }

  deinit {
    guard let base = bytes.baseAddress else { return }
    munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
  }
}
