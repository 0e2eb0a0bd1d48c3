import Files
import Foundation

/// Writes float32 tensors as a safetensors file, atomically.
///
/// - Parameters:
///   - tensors: in the order in which they lie in the file; shapes are row-major.
///   - metadata: `__metadata__`, strings only.
/// - Throws: `Failure` 73.
public func writeSafetensors(
  _ tensors: [(name: String, shape: [Int], values: [Float])], metadata: [String: String] = [:], to path: String
) throws {
  var entries: [String: Any] = [:]
  if !metadata.isEmpty { entries["__metadata__"] = metadata }
  var offset = 0
  for tensor in tensors {
    let bytes = tensor.values.count * 4
    entries[tensor.name] = [
      "dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, offset + bytes],
    ]
    offset += bytes
  }
  var header = try JSONSerialization.data(withJSONObject: entries, options: [.sortedKeys, .withoutEscapingSlashes])
  while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
  var file = [UInt8]()
  file.reserveCapacity(8 + header.count + offset)
  withUnsafeBytes(of: UInt64(header.count).littleEndian) { file.append(contentsOf: $0) }
  file.append(contentsOf: header)
  for tensor in tensors {
    tensor.values.withUnsafeBytes { file.append(contentsOf: $0) }
  }
  try writeAtomically(file, to: path)
}
