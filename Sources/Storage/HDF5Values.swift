import CHDF5

/// What our HDF5 files hold, by whatever means they are read.

/// The element types that our files hold, all little-endian.
public enum HDF5Type: String, Codable, Sendable {
  case float16
  case float32
  case float64
  case uint8
  case int32
  case uint32
  case int64

  public var bytes: Int {
    switch self {
    case .uint8: 1
    case .float16: 2
    case .float32, .int32, .uint32: 4
    case .float64, .int64: 8
    }
  }

  /// Runs `body` with the library's handle of the type.
  func with<Result>(_ body: (hid_t) throws -> Result) rethrows -> Result {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    switch self {
    case .float16:
      let type = ala_h5_make_float16()
      defer { H5Tclose(type) }
      return try body(type)
    case .float32: return try body(ala_h5_float32())
    case .float64: return try body(ala_h5_float64())
    case .uint8: return try body(ala_h5_uint8())
    case .int32: return try body(ala_h5_int32())
    case .uint32: return try body(ala_h5_uint32())
    case .int64: return try body(ala_h5_int64())
    }
  }

  /// The type of a data set in a file; nil for what our files never hold.
  init?(_ type: hid_t) {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    let size = H5Tget_size(type)
    switch (H5Tget_class(type), size) {
    case (H5T_FLOAT, 2): self = .float16
    case (H5T_FLOAT, 4): self = .float32
    case (H5T_FLOAT, 8): self = .float64
    case (H5T_INTEGER, 1): self = .uint8
    case (H5T_INTEGER, 4): self = H5Tget_sign(type) == H5T_SGN_NONE ? .uint32 : .int32
    case (H5T_INTEGER, 8): self = .int64
    default: return nil
    }
  }
}

/// An attribute's value.
public enum HDF5Attribute: Codable, Equatable, Sendable {
  /// Variable-length UTF-8.
  case text(String)
  case integer(Int64)
  case number(Double)
}

/// What is known of a data set without reading it.
public struct HDF5Dataset: Codable, Equatable, Sendable {
  public let name: String
  public let shape: [Int]
  public let type: HDF5Type
  /// Where its bytes begin in the file, if they lie there in one piece, as values of `type`.
  public let offset: Int?
  /// Of a virtual data set, where its rows lie.
  public let parts: [HDF5VirtualRows]?

  /// What all its values take as values of `type`; nil where that is beyond any memory.
  func byteCount(as type: HDF5Type) -> Int? {
    var bytes = type.bytes
    for extent in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      guard !overflow, product < 1 << 40 else { return nil }
      bytes = product
    }
    return bytes
  }
}

/// One run of rows that a virtual data set takes from another file's data set of the same name.
public struct HDF5VirtualRows: Codable, Equatable, Sendable {
  /// In the same folder.
  let file: String
  let firstSource: Int
  let firstTarget: Int
  let count: Int
}

/// A file's attributes and data sets, by whatever means they are read.
protocol HDF5Reading {
  /// For messages.
  var path: String { get }
  /// All attributes of the root that are of our kinds.
  func attributes() throws -> [String: HDF5Attribute]
  /// The names in a group, in byte order; nil where there is no such group.
  func names(in group: String) throws -> [String]?
  /// What a data set is.
  func dataset(_ name: String) throws -> HDF5Dataset
  /// A whole data set as values of `type`.
  func readArray<Element>(_ name: String, _ type: HDF5Type, of: Element.Type) throws -> [Element]
}
