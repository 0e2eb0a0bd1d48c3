import Failures
import Foundation
import Machine

/// What is inside one of our HDF5 files, for `ala inspect`: attributes, then data sets with shape and type.
///
/// - Parameter probe: the `ala` program; see `ForeignHDF5`.
public func describeHDF5(_ path: String, probe: String = ChildProcess.ownProgram) throws -> [String] {
  if UserBlock.isPresent(path) { try UserBlock.verify(path) }
  let file = try ForeignHDF5(path, probe: probe)
  var lines: [String] = []
  for (name, value) in file.attributes().sorted(by: { $0.key < $1.key }) {
    switch value {
    case .text(let text) where text.contains("\n"): lines.append("\(name):\n" + text)
    case .text(let text): lines.append("\(name): \(text)")
    case .integer(let integer): lines.append("\(name): \(integer)")
    case .number(let number): lines.append("\(name): \(number)")
    }
  }
  lines += file.datasets.map { "\($0.name)  \($0.type.rawValue)  \($0.shape)" }
  if let written = try? file.readArray("written", .uint8, of: UInt8.self) {
    lines.append("progress: \(written.count { $0 == 1 }) of \(written.count) rows are written")
  }
  return lines
}
