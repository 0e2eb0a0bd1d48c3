import Failures
import Foundation

/// A safetensors file, mapped read-only, so that the processes of a machine share one copy. The format's rules are
/// those of huggingface/safetensors; the file is untrusted input, and every rule is checked before a byte is used.
public final class SafetensorsFile: @unchecked Sendable {
  public struct Tensor: Sendable {
    public let name: String
    /// "F32", "F16", "BF16", …
    public let type: String
    public let shape: [Int]
    /// Offsets from the file's start.
    public let bytes: Range<Int>
  }

  public let path: String
  public let tensors: [String: Tensor]
  public let metadata: [String: String]
  private let mapping: UnsafeRawBufferPointer

  private static let largestHeader = 100_000_000
  /// Bytes of an element, by the format's type names.
  private static let elementBytes = [
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
  ]

  /// Maps and checks the file.
  ///
  /// - Throws: `Failure` 66 where there is no such file, 65 where it breaks a rule of the format.
  public init(path: String) throws {
    self.path = path
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw Failure.missingInput("\(path): cannot be opened: \(systemReason())")
    }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw Failure.badData("\(path): is not a regular file; expected safetensors")
    }
    let size = Int(status.st_size)
    guard size >= 8 else {
      throw Failure.badData("\(path): holds \(size) bytes; a safetensors file has at least 8")
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED else {
      throw Failure.unavailable("\(path): cannot be mapped: \(systemReason())")
    }
    let mapping = UnsafeRawBufferPointer(start: base, count: size)
    self.mapping = mapping
    do {
      (tensors, metadata) = try Self.readHeader(mapping, path: path)
    } catch {
      munmap(base, size)
      throw error
    }
  }

  deinit { munmap(UnsafeMutableRawPointer(mutating: mapping.baseAddress), mapping.count) }

  /// The bytes of a tensor.
  public func bytes(of tensor: Tensor) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: mapping[tensor.bytes])
  }

  /// Gives back the memory of pages that have been looked at; they are read again when used.
  public func forgetPages(of tensor: Tensor) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let start = (tensor.bytes.lowerBound + page - 1) / page * page
    let end = tensor.bytes.upperBound / page * page
    guard end > start, let base = mapping.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, Int32(MADV_DONTNEED))
  }

  private static func readHeader(
    _ mapping: UnsafeRawBufferPointer, path: String
  ) throws -> ([String: Tensor], [String: String]) {
    func bad(_ what: String) -> Failure { Failure.badData("\(path): not a sound safetensors file: \(what)") }
    let length = UInt64(littleEndian: mapping.loadUnaligned(as: UInt64.self))
    guard length <= largestHeader, Int(length) + 8 <= mapping.count else {
      throw bad("its header claims \(length) bytes, the file holds \(mapping.count)")
    }
    let headerEnd = 8 + Int(length)
    let header = Data(mapping[8..<headerEnd])
    guard header.first == UInt8(ascii: "{"), String(data: header, encoding: .utf8) != nil else {
      throw bad("its header is not UTF-8 JSON that starts with {")
    }
    guard let object = try? JSONSerialization.jsonObject(with: header), let entries = object as? [String: Any]
    else { throw bad("its header is not a JSON object") }

    var tensors: [String: Tensor] = [:]
    var metadata: [String: String] = [:]
    for (name, value) in entries {
      if name == "__metadata__" {
        guard let map = value as? [String: String] else { throw bad("__metadata__ is not a map of strings") }
        metadata = map
        continue
      }
      guard let entry = value as? [String: Any], let type = entry["dtype"] as? String,
        let shape = integers(entry["shape"]), let offsets = integers(entry["data_offsets"]), offsets.count == 2
      else { throw bad("tensor \(name) lacks a dtype, a shape or two data_offsets") }
      let (begin, end) = (offsets[0], offsets[1])
      guard begin <= end, end <= mapping.count - headerEnd else {
        throw bad(
          "tensor \(name) lies at \(begin)..<\(end), the file holds \(mapping.count - headerEnd) bytes of data")
      }
      var count = 1
      for extent in shape {
        let (product, overflow) = count.multipliedReportingOverflow(by: extent)
        guard !overflow else { throw bad("tensor \(name) has an impossible shape \(shape)") }
        count = product
      }
      if let size = elementBytes[type] {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: size)
        guard !overflow, bytes == end - begin else {
          throw bad("tensor \(name) of type \(type) and shape \(shape) has \(end - begin) bytes")
        }
      }
      tensors[name] = Tensor(name: name, type: type, shape: shape, bytes: (headerEnd + begin)..<(headerEnd + end))
    }
    // Neither overlap nor hole: a name given twice leaves a hole, too.
    var position = headerEnd
    for tensor in tensors.values.sorted(by: {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }) {
      guard tensor.bytes.lowerBound == position else {
        throw bad(
          "tensor \(tensor.name) begins at \(tensor.bytes.lowerBound - headerEnd) where \(position - headerEnd) was expected (an overlap, a hole, or a name given twice)"
        )
      }
      position = tensor.bytes.upperBound
    }
    guard position == mapping.count else {
      throw bad("its tensors end at byte \(position), the file at \(mapping.count)")
    }
    return (tensors, metadata)
  }

  /// A JSON array of integers from 0 up.
  private static func integers(_ value: Any?) -> [Int]? {
    guard let numbers = value as? [NSNumber] else { return nil }
    var result: [Int] = []
    for number in numbers {
      guard let integer = Int(exactly: number.doubleValue) ?? Int(number.stringValue), integer >= 0,
        integer < 1 << 53
      else { return nil }
      result.append(integer)
    }
    return result
  }
}
