import Digests

/// A named float32 tensor in its file's order.
public struct NamedTensor: Equatable, Sendable {
  public let name: String
  public let shape: [Int]
  public let values: [Float]

  public init(name: String, shape: [Int], values: [Float]) {
    self.name = name
    self.shape = shape
    self.values = values
  }
}

/// A tensor of a file as it is listed there.
public struct TensorShape: Equatable, Sendable {
  public let name: String
  public let shape: [Int]

  public init(name: String, shape: [Int]) {
    self.name = name
    self.shape = shape
  }
}

/// Tensors whose values are asked for one tensor at a time, so that all of them can be written without being held twice.
public struct TensorTable: Sendable {
  public let names: [String]
  public let shapes: [[Int]]
  private let values: @Sendable (Int) -> [Float]

  /// - Parameter values: of the tensor with an index in `names`, in the file's order.
  public init(names: [String], shapes: [[Int]], values: @escaping @Sendable (Int) -> [Float]) {
    precondition(names.count == shapes.count)
    self.names = names
    self.shapes = shapes
    self.values = values
  }

  public init(_ tensors: [NamedTensor]) {
    self.init(names: tensors.map(\.name), shapes: tensors.map(\.shape)) { tensors[$0].values }
  }

  public var count: Int { names.count }

  public subscript(index: Int) -> NamedTensor {
    NamedTensor(name: names[index], shape: shapes[index], values: values(index))
  }

  /// SHA-256 over each tensor's name, then its little-endian float32 bytes, in the names' byte order.
  public func digest() -> String {
    let hash = SHA256()
    let order = names.indices.sorted { Array(names[$0].utf8).lexicographicallyPrecedes(Array(names[$1].utf8)) }
    for index in order {
      hash.update(names[index])
      values(index).withUnsafeBytes { hash.update($0) }
    }
    return hash.finish()
  }
}
