import Files
import Foundation

/// Writes float32 tensors as a safetensors file, atomically.
///
/// - Parameters:
///   - tensors: in the order in which they lie in the file; shapes are row-major.
///   - others: of other types than float32, as their bytes shall lie in the file.
///   - metadata: `__metadata__`, strings only.
/// - Throws: `Failure` 73.
public func writeSafetensors(
  _ tensors: [(name: String, shape: [Int], values: [Float])],
  others: [(name: String, type: String, shape: [Int], bytes: Data)] = [], metadata: [String: String] = [:],
  to path: String
) throws {
  try writeSafetensors(tensors.map { ($0.name, $0.shape) }, others: others, metadata: metadata, to: path) {
    tensors[$0].values
  }
}

/// The same of tensors that are made one at a time, so that they need never be in memory together.
///
/// - Parameter values: of the tensor with the given index.
public func writeSafetensors(
  _ tensors: [(name: String, shape: [Int])],
  others: [(name: String, type: String, shape: [Int], bytes: Data)] = [], metadata: [String: String] = [:],
  to path: String, values: (Int) throws -> [Float]
) throws {
  try writeAtomically(to: path) {
    try writeSafetensors(tensors, others: others, metadata: metadata, through: $0, values: values)
  }
}

/// The same through a function that takes the file's bytes, in order.
public func writeSafetensors(
  _ tensors: [(name: String, shape: [Int])],
  others: [(name: String, type: String, shape: [Int], bytes: Data)] = [], metadata: [String: String] = [:],
  through write: (UnsafeRawBufferPointer) throws -> Void, values: (Int) throws -> [Float]
) throws {
  var entries: [String: Any] = [:]
  if !metadata.isEmpty { entries["__metadata__"] = metadata }
  var offset = 0
  func place(_ name: String, _ type: String, _ shape: [Int], bytes: Int) {
    entries[name] = ["dtype": type, "shape": shape, "data_offsets": [offset, offset + bytes]]
    offset += bytes
  }
  // Readers that map the file want elements at multiples of their size: the widest first.
  let byWidth = others.map { (tensor: $0, width: $0.bytes.count / max(1, $0.shape.reduce(1, *))) }
    .sorted { $0.width > $1.width }
  let (before, after) = (byWidth.filter { $0.width > 4 }.map(\.tensor), byWidth.filter { $0.width <= 4 }.map(\.tensor))
  for other in before { place(other.name, other.type, other.shape, bytes: other.bytes.count) }
  for tensor in tensors { place(tensor.name, "F32", tensor.shape, bytes: tensor.shape.reduce(1, *) * 4) }
  for other in after { place(other.name, other.type, other.shape, bytes: other.bytes.count) }
  var header = try JSONSerialization.data(withJSONObject: entries, options: [.sortedKeys, .withoutEscapingSlashes])
  while header.count % 8 != 0 { header.append(UInt8(ascii: " ")) }
  try withUnsafeBytes(of: UInt64(header.count).littleEndian) { try write($0) }
  try header.withUnsafeBytes { try write($0) }
  for other in before { try other.bytes.withUnsafeBytes { try write($0) } }
  for index in tensors.indices { try values(index).withUnsafeBytes { try write($0) } }
  for other in after { try other.bytes.withUnsafeBytes { try write($0) } }
}
