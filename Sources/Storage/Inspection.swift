import Failures
import Files
import Foundation
import Machine

/// Whether a file has HDF5's signature at its beginning or behind a user block of any size, where the format allows it.
///
/// - Throws: `Failure` 66, 69 or 65, as `openRegularFile`.
public func isHDF5(_ path: String) throws -> Bool {
  let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]
  let (descriptor, status) = try openRegularFile(path)
  defer { close(descriptor) }
  var found = [UInt8](repeating: 0, count: signature.count)
  var place = 0
  while place <= Int(status.st_size) - signature.count {
    try found.withUnsafeMutableBytes { try readFully($0, from: descriptor, at: place, path: path) }
    if found == signature { return true }
    place = max(512, 2 * place)
  }
  return false
}

/// What is inside one of our HDF5 files.
public struct HDF5Contents {
  /// Of `/`.
  public let attributes: [String: HDF5Attribute]
  public let datasets: [(name: String, type: HDF5Type, shape: [Int])]
  /// Of a cache: rows that are durable, of all.
  public let written: (rows: Int, total: Int)?

  /// - Parameter probe: the `ala` program, which walks the file first; see `ForeignHDF5`.
  /// - Throws: `Failure` 66 or 65.
  public init(_ path: String, probe: String = ChildProcess.ownProgram) throws {
    if UserBlock.isPresent(path) { try UserBlock.verify(path) }
    let file = try ForeignHDF5(path, probe: probe)
    attributes = file.attributes()
    datasets = file.datasets.map { ($0.name, $0.type, $0.shape) }
    let flags = try? file.readArray("written", .uint8, of: UInt8.self)
    written = flags.map { ($0.count { $0 == 1 }, $0.count) }
  }

  /// For people: attributes, then data sets with shape and type.
  public var lines: [String] {
    var lines: [String] = []
    for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
      switch value {
      case .text(let text) where text.contains("\n"): lines.append("\(name):\n" + text)
      case .text(let text): lines.append("\(name): \(text)")
      case .integer(let integer): lines.append("\(name): \(integer)")
      case .number(let number): lines.append("\(name): \(number)")
      }
    }
    lines += datasets.map { "\($0.name)  \($0.type.rawValue)  \($0.shape)" }
    if let written { lines.append("progress: \(written.rows) of \(written.total) rows are written") }
    return lines
  }
}
