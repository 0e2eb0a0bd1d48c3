import Foundation
import Safetensors

/// Values from an independent reference, in a safetensors file that a script in `scripts/fixtures` has made.
public struct Fixture: Sendable {
  private let file: SafetensorsFile

  /// - Parameter testFile: `#filePath` of the caller, beside which `Fixtures/` lies.
  public init(_ name: String, testFile: String = #filePath) throws {
    file = try SafetensorsFile(path: Fixture.path(name, testFile: testFile))
  }

  public static func path(_ name: String, testFile: String = #filePath) -> String {
    "\((testFile as NSString).deletingLastPathComponent)/Fixtures/\(name)"
  }

  public var names: [String] { file.tensors.keys.sorted() }

  public func names(below prefix: String) -> [String] {
    names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }
  }

  public func shape(_ name: String) throws -> [Int] { try tensor(name).shape }

  private struct Missing: Error { let name: String }

  private func tensor(_ name: String) throws -> SafetensorsFile.Tensor {
    guard let tensor = file.tensors[name] else { throw Missing(name: name) }
    return tensor
  }

  /// A tensor's values as double, whatever its type.
  public func doubles(_ name: String) throws -> [Double] {
    let tensor = try tensor(name)
    let bytes = file.bytes(of: tensor)
    return (0..<tensor.shape.reduce(1, *)).map { index in
      switch tensor.type {
      case "F64": bytes.loadUnaligned(fromByteOffset: 8 * index, as: Double.self)
      case "I64": Double(bytes.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self))
      case "U8": Double(bytes[index])
      default: Double(bytes.loadUnaligned(fromByteOffset: 4 * index, as: Float.self))
      }
    }
  }

  public func floats(_ name: String) throws -> [Float] { try doubles(name).map { Float($0) } }

  public func bytes(_ name: String) throws -> [UInt8] { Array(file.bytes(of: try tensor(name))) }

  /// A JSON object in the file's metadata.
  public func json(_ key: String) throws -> [String: Any] {
    let object = try JSONSerialization.jsonObject(with: Data((file.metadata[key] ?? "").utf8))
    return object as? [String: Any] ?? [:]
  }
}

/// The largest difference, as a share of `scale` (by default the largest expected magnitude).
public func difference(_ found: [Float], _ expected: [Double], scale: Double? = nil) -> Double {
  guard found.count == expected.count else { return .infinity }
  let unit = scale ?? max(expected.map(abs).max() ?? 0, 1e-30)
  return zip(found, expected).map { abs(Double($0) - $1) / unit }.max() ?? 0
}
