import Failures
import Foundation

/// What is inside one of our HDF5 files, for `ala inspect`: attributes, then data sets with shape and type.
public func describeHDF5(_ path: String) throws -> [String] {
  if UserBlock.isPresent(path) { try UserBlock.verify(path) }
  let file = try HDF5File.open(path)
  let attributes = try file.attributes()
  var lines: [String] = []
  for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
    switch value {
    case .text(let text) where text.contains("\n"): lines.append("\(name):\n" + text)
    case .text(let text): lines.append("\(name): \(text)")
    case .integer(let integer): lines.append("\(name): \(integer)")
    case .number(let number): lines.append("\(name): \(number)")
    }
  }
  func list(_ group: String) throws {
    for name in file.names(in: group) ?? [] {
      let full = group == "/" ? "/\(name)" : "\(group)/\(name)"
      if let dataset = try? file.dataset(full) {
        lines.append("\(full)  \(dataset.type.rawValue)  \(dataset.shape)")
      } else {
        try list(full)
      }
    }
  }
  try list("/")
  if let written = try? file.readArray("written", .uint8, of: UInt8.self) {
    lines.append("progress: \(written.count { $0 == 1 }) of \(written.count) rows are written")
  }
  return lines
}
