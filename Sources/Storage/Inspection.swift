import Failures
import Foundation
import Machine

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
