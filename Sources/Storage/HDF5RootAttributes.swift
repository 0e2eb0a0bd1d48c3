import CHDF5
import Failures

/// Attributes of the root.
extension HDF5File {
  public func write(_ attributes: [(name: String, value: HDF5Attribute)]) throws {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    for (name, value) in attributes {
      switch value {
      case .integer(var integer): try writeAttribute(name, ala_h5_int64(), &integer)
      case .number(var number): try writeAttribute(name, ala_h5_float64(), &number)
      case .text(let text):
        let type = Self.textType()
        defer { H5Tclose(type) }
        try text.withCString { pointer in
          var pointer: UnsafePointer<CChar>? = pointer
          try writeAttribute(name, type, &pointer)
        }
      }
    }
  }

  private static func textType() -> hid_t {
    let type = H5Tcopy(ala_h5_c_string())
    H5Tset_size(type, ala_h5_variable())
    H5Tset_cset(type, H5T_CSET_UTF8)
    return type
  }

  private func writeAttribute(_ name: String, _ type: hid_t, _ value: UnsafeRawPointer) throws {
    let space = H5Screate(H5S_SCALAR)
    defer { H5Sclose(space) }
    let attribute = H5Acreate2(file, name, type, space, ala_h5p_default(), ala_h5p_default())
    try writing("attribute \(name)", Int(attribute))
    defer { H5Aclose(attribute) }
    try writing("attribute \(name)", Int(H5Awrite(attribute, type, value)))
  }

  /// All attributes of the root that are of our kinds.
  public func attributes() throws -> [String: HDF5Attribute] {
    HDF5Library.enter()
    defer { HDF5Library.leave() }
    let root = H5Oopen(file, "/", ala_h5p_default())
    guard root >= 0 else { throw bad("has no root group") }
    defer { H5Oclose(root) }
    var result: [String: HDF5Attribute] = [:]
    let count = H5Aget_num_attrs(root)
    guard count >= 0, count < 1024 else { throw bad("has \(count) attributes") }
    for index in 0..<UInt32(count) {
      let attribute = H5Aopen_by_idx(
        root, ".", H5_INDEX_NAME, H5_ITER_INC, hsize_t(index), ala_h5p_default(), ala_h5p_default())
      guard attribute >= 0 else { throw bad("attribute \(index) cannot be read") }
      defer { H5Aclose(attribute) }
      var name = [CChar](repeating: 0, count: 256)
      H5Aget_name(attribute, name.count, &name)
      let key = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if let value = try value(of: attribute) { result[key] = value }
    }
    return result
  }

  private func value(of attribute: hid_t) throws -> HDF5Attribute? {
    let type = H5Aget_type(attribute)
    defer { H5Tclose(type) }
    let space = H5Aget_space(attribute)
    defer { H5Sclose(space) }
    guard H5Sget_simple_extent_npoints(space) == 1 else { return nil }
    switch H5Tget_class(type) {
    case H5T_INTEGER:
      var value: Int64 = 0
      guard H5Aread(attribute, ala_h5_int64(), &value) >= 0 else { return nil }
      return .integer(value)
    case H5T_FLOAT:
      var value = 0.0
      guard H5Aread(attribute, ala_h5_float64(), &value) >= 0 else { return nil }
      return .number(value)
    case H5T_STRING where H5Tis_variable_str(type) > 0:
      var pointer: UnsafeMutablePointer<CChar>?
      let text = Self.textType()
      defer { H5Tclose(text) }
      guard H5Aread(attribute, text, &pointer) >= 0, let pointer else { return nil }
      defer { H5free_memory(pointer) }
      return .text(String(cString: pointer))
    default: return nil
    }
  }
}
