import Failures
import Foundation

/// What the header of a safetensors file says, by the rules of huggingface/safetensors.
struct SafetensorsHeader {
  let tensors: [String: SafetensorsFile.Tensor]
  let metadata: [String: String]

  private static let largest = 100_000_000
  /// More than any model has; reading one takes kilobytes.
  private static let mostTensors = 100_000
  /// Bytes of an element, by the format's type names.
  private static let elementBytes = [
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "F8_E8M0": 1, "F8_E4M3FNUZ": 1, "F8_E5M2FNUZ": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
  ]

  /// - Throws: `Failure` 65 naming the rule that is broken, or the format that the file is of instead.
  init(_ bytes: UnsafeRawBufferPointer, path: String) throws {
    func bad(_ what: String) -> Failure { Failure.badData("\(path): not a sound safetensors file: \(what)") }
    if let format = ForeignFormat.recognise(bytes) { throw Failure.badData("\(path): \(format)") }
    guard bytes.count >= 8 else { throw bad("it holds \(bytes.count) bytes, less than the 8 of a header's length") }
    let length = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard length <= Self.largest, Int(length) + 8 <= bytes.count else {
      throw bad("its header claims \(length) bytes, the file holds \(bytes.count)")
    }
    let end = 8 + Int(length)
    let header = Data(bytes[8..<end])
    guard header.first == UInt8(ascii: "{"), String(data: header, encoding: .utf8) != nil else {
      throw bad("its header is not UTF-8 JSON that starts with {")
    }
    // Beside those of the tensors, the root and the metadata.
    guard Self.objectCount(bytes[8..<end]) <= Self.mostTensors + 2 else {
      throw bad("its header names more than \(Self.mostTensors) tensors")
    }
    guard let object = try? JSONSerialization.jsonObject(with: header), let entries = object as? [String: Any]
    else { throw bad("its header is not a JSON object") }

    var tensors: [String: SafetensorsFile.Tensor] = [:]
    var metadata: [String: String] = [:]
    for (name, value) in entries {
      if name == "__metadata__" {
        guard let map = value as? [String: String] else { throw bad("__metadata__ is not a map of strings") }
        metadata = map
      } else {
        tensors[name] = try Self.tensor(name, value, dataFrom: end, to: bytes.count, bad)
      }
    }
    try Self.checkPlaces(tensors.values, from: end, to: bytes.count, bad)
    (self.tensors, self.metadata) = (tensors, metadata)
  }

  /// How many objects a JSON text begins: its opening braces outside of strings.
  private static func objectCount(_ json: Slice<UnsafeRawBufferPointer>) -> Int {
    var (count, isString, isEscaped) = (0, false, false)
    for byte in json {
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\"") {
        isString.toggle()
      } else if isString {
        isEscaped = byte == UInt8(ascii: "\\")
      } else if byte == UInt8(ascii: "{") {
        count += 1
      }
    }
    return count
  }

  /// Whether bytes begin as a header's length and the JSON after it do, wholly there or not.
  static func isBeginning(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count >= 9, bytes[8] == UInt8(ascii: "{") else { return false }
    return UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self)) <= largest
  }

  private static func tensor(
    _ name: String, _ value: Any, dataFrom start: Int, to fileEnd: Int, _ bad: (String) -> Failure
  ) throws -> SafetensorsFile.Tensor {
    guard let entry = value as? [String: Any], let type = entry["dtype"] as? String,
      let shape = integers(entry["shape"]), let offsets = integers(entry["data_offsets"]), offsets.count == 2
    else { throw bad("tensor \(name) lacks a dtype, a shape or two data_offsets") }
    let (begin, end) = (offsets[0], offsets[1])
    guard begin <= end, end <= fileEnd - start else {
      throw bad("tensor \(name) lies at \(begin)..<\(end), the file holds \(fileEnd - start) bytes of data")
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
    return SafetensorsFile.Tensor(name: name, type: type, shape: shape, bytes: (start + begin)..<(start + end))
  }

  /// Neither overlap nor hole: a name given twice leaves a hole, too.
  private static func checkPlaces(
    _ tensors: some Collection<SafetensorsFile.Tensor>, from start: Int, to end: Int, _ bad: (String) -> Failure
  ) throws {
    var position = start
    for tensor in tensors.sorted(by: {
      ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound)
    }) {
      guard tensor.bytes.lowerBound == position else {
        throw bad(
          "tensor \(tensor.name) begins at \(tensor.bytes.lowerBound - start) where \(position - start) was expected "
            + "(an overlap, a hole, or a name given twice)")
      }
      position = tensor.bytes.upperBound
    }
    guard position == end else { throw bad("its tensors end at byte \(position), the file at \(end)") }
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
