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
  try writeSafetensors(tensors.map { ($0.name, $0.shape) }, metadata: metadata, to: path) { tensors[$0].values }
}

/// The same of tensors that are made one at a time, so that they need never be in memory together.
///
/// - Parameter values: of the tensor with the given index.
public func writeSafetensors(
  _ tensors: [(name: String, shape: [Int])], metadata: [String: String] = [:], to path: String,
  values: (Int) throws -> [Float]
) throws {
  var entries: [String: Any] = [:]
  if !metadata.isEmpty { entries["__metadata__"] = metadata }
  var offset = 0
  for tensor in tensors {
    let bytes = tensor.shape.reduce(1, *) * 4
    entries[tensor.name] = [
      "dtype": "F32", "shape": tensor.shape, "data_offsets": [offset, offset + bytes],
    ]
    offset += bytes
  }
  var header = try JSONSerialization.data(withJSONObject: entries, options: [.sortedKeys, .withoutEscapingSlashes])
  while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
  try writeAtomically(to: path) { write in
    try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try write($0) }
    try header.withUnsafeBytes { try write($0) }
    for index in tensors.indices { try values(index).withUnsafeBytes { try write($0) } }
  }
}
