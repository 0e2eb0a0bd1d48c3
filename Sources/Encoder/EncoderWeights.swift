import Failures
import Files
import Foundation
import Safetensors
import Tensor

/// The frozen tensors of an encoder as float32: pointers into the mapped file, or into one converted copy, which lives
/// as long as this does.
final class EncoderWeights: @unchecked Sendable {
  private static let readTypes = ["F32", "F16", "BF16"]

  let tower: Tower
  private var file: SafetensorsFile { tower.file }
  private var requests: [(tensor: SafetensorsFile.Tensor, offset: Int)] = []
  private var convertedCount = 0
  private var converted: MappedMemory?

  init(_ tower: Tower) { self.tower = tower }

  /// - Parameter name: without the tower's prefix, here and below.
  func has(_ name: String) -> Bool { file.tensors[tower.prefix + name] != nil }

  /// A tensor, checked to be of a type that is read.
  ///
  /// - Throws: `Failure` 65.
  func tensor(_ name: String) throws -> SafetensorsFile.Tensor {
    guard let tensor = file.tensors[tower.prefix + name] else {
      throw Failure.badData("\(file.path): tensor \(tower.prefix + name) is missing")
    }
    guard Self.readTypes.contains(tensor.type) else {
      throw Failure.badData(
        "\(file.path(of: tensor)): tensor \(tensor.name) is of type \(tensor.type); expected F32, F16 or BF16")
    }
    return tensor
  }

  /// Asks for a tensor of one of the given shapes; its values are there after `load`.
  func request(_ name: String, _ shapes: [Int]...) throws -> Handle {
    let tensor = try tensor(name)
    guard shapes.contains(tensor.shape) else {
      let expected = shapes.map { "\($0)" }.joined(separator: " or ")
      throw Failure.badData(
        "\(file.path(of: tensor)): tensor \(tensor.name) has shape \(tensor.shape); expected \(expected)")
    }
    let count = tensor.shape.reduce(1, *)
    if tensor.type == "F32", UInt(bitPattern: file.bytes(of: tensor).baseAddress) % 4 == 0 {
      try checkFinite(tensor)
      return Handle(weights: self, tensor: tensor, convertedOffset: nil)
    }
    let offset = convertedCount
    requests.append((tensor, offset))
    convertedCount += (count + 15) / 16 * 16
    return Handle(weights: self, tensor: tensor, convertedOffset: offset)
  }

  /// Converts what is not float32 in the file, once for all who share the memory.
  func load(share: EncoderFile.Share) throws {
    guard convertedCount > 0 else { return }
    converted = try share(convertedCount * 4) { memory in
      guard let base = memory.baseAddress else { return }
      for (tensor, offset) in requests {
        try convert(tensor, to: (base + offset * 4).assumingMemoryBound(to: Float.self))
      }
    }
  }

  /// Every tensor of the file of a type that is read, as float32, in the names' order.
  func allTensors() throws -> [(name: String, bareName: String, shape: [Int], values: [Float])] {
    try file.tensors.values.filter { Self.readTypes.contains($0.type) }.sorted { $0.name < $1.name }.map { tensor in
      let count = tensor.shape.reduce(1, *)
      let values = try [Float](unsafeUninitializedCapacity: max(count, 1)) { buffer, initialized in
        if let base = buffer.baseAddress { try convert(tensor, to: base) }
        initialized = count
      }
      return (tensor.name, String(tensor.name.dropFirst(tower.prefix.count)), tensor.shape, values)
    }
  }

  /// Every tensor of the file of another type, as its bytes lie there, in the names' order.
  func otherTensors() -> [(name: String, type: String, shape: [Int], bytes: Data)] {
    file.tensors.values.filter { !Self.readTypes.contains($0.type) }.sorted { $0.name < $1.name }.map {
      ($0.name, $0.type, $0.shape, Data(file.bytes(of: $0)))
    }
  }

  struct Handle {
    fileprivate let weights: EncoderWeights
    let tensor: SafetensorsFile.Tensor
    fileprivate let convertedOffset: Int?

    /// Valid after `load`.
    var values: ConstFloats {
      if let convertedOffset, let base = weights.converted?.bytes.baseAddress {
        return base.advanced(by: convertedOffset * 4).assumingMemoryBound(to: Float.self)
      }
      guard let base = weights.file.bytes(of: tensor).baseAddress else { preconditionFailure("an empty tensor") }
      return base.assumingMemoryBound(to: Float.self)
    }
  }

  /// Rows of a weight's tensor that are one linear map: W [outputs, inputs], b [outputs].
  struct Map {
    let weight: Handle
    let bias: Handle
    /// The first of the tensors' rows, where several maps share them.
    let row: Int
    let outputs: Int
    let inputs: Int

    /// W, valid after `load`.
    var values: ConstFloats { weight.values + row * inputs }

    /// Lets go of the file's pages that hold the weight; they are read anew where they are wanted again.
    func forgetPages() { weight.weights.file.forgetPages(of: weight.tensor) }
  }

  private func convert(_ tensor: SafetensorsFile.Tensor, to target: Floats) throws {
    let source = file.bytes(of: tensor)
    let count = tensor.shape.reduce(1, *)
    var isFinite = true
    for index in 0..<count {
      let value: Float
      switch tensor.type {
      case "F16": value = Float(Float16(bitPattern: source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)))
      case "BF16":
        value = Float(bitPattern: UInt32(source.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)) << 16)
      default: value = source.loadUnaligned(fromByteOffset: 4 * index, as: Float.self)
      }
      isFinite = isFinite && value.isFinite
      target[index] = value
    }
    guard isFinite else { throw notFinite(tensor) }
  }

  private func checkFinite(_ tensor: SafetensorsFile.Tensor) throws {
    let bytes = file.bytes(of: tensor)
    var exponents: UInt32 = 0
    bytes.withMemoryRebound(to: UInt32.self) { words in
      for word in words where word & 0x7F80_0000 == 0x7F80_0000 { exponents = 1 }
    }
    file.forgetPages(of: tensor)
    guard exponents == 0 else { throw notFinite(tensor) }
  }

  private func notFinite(_ tensor: SafetensorsFile.Tensor) -> Failure {
    Failure.badData("\(file.path(of: tensor)): tensor \(tensor.name) holds values that are not finite")
  }
}
