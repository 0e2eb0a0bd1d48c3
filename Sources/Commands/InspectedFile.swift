import Dataset
import Foundation
import Safetensors
import Storage

/// What `ala inspect` has found, for people and for programs.
struct InspectedFile {
  enum Contents {
    case hdf5(HDF5Contents)
    case split(Split)
    case safetensors(SafetensorsFile)
    case folder(InspectedFolder)
  }

  enum Digest {
    case of(String)
    /// Not computed.
    case ofHoles(size: Int, onDisk: Int)
  }

  private let path: String
  private let digest: Digest
  private let contents: Contents

  init(_ path: String, _ digest: Digest, _ contents: Contents) {
    (self.path, self.digest, self.contents) = (path, digest, contents)
  }

  private var sha256: String? {
    if case .of(let sha256) = digest { sha256 } else { nil }
  }

  private var words: String {
    switch digest {
    case .of(let sha256): sha256
    case .ofHoles(let size, let onDisk):
      "not computed, for of the file's \(size) bytes \(onDisk) are on disk, and the others are holes"
    }
  }

  var lines: [String] {
    let own: [String] =
      switch contents {
      case .hdf5(let found): found.lines
      case .split(let split):
        ["split: \(split.train.count) train, \(split.valid.count) valid, \(split.test.count) test"]
      case .safetensors(let weights):
        weights.metadata.sorted { $0.key < $1.key }.map { "metadata \($0.key): \($0.value)" }
          + Self.sorted(weights).map { "\($0.name)  \($0.type)  \($0.shape)" }
      case .folder(let folder): folder.lines
      }
    if case .folder = contents { return own + ["sha256 of \(path): \(words)"] }
    return ["sha256: \(words)"] + own
  }

  private static func sorted(_ weights: SafetensorsFile) -> [SafetensorsFile.Tensor] {
    weights.tensors.values.sorted { $0.name < $1.name }
  }

  // MARK: JSON

  private struct Document: Encodable {
    struct Tensor: Encodable {
      let name, type: String
      let shape: [Int]
    }

    struct Written: Encodable { let rows, total: Int }

    let file, kind: String
    let sha256: String?
    var attributes: [String: Value] = [:]
    var tensors: [Tensor] = []
    var written: Written?
    var images: [String: Int]?
  }

  enum Value: Encodable {
    case text(String)
    case integer(Int64)
    case number(Double)

    func encode(to encoder: Encoder) throws {
      var container = encoder.singleValueContainer()
      switch self {
      case .text(let text): try container.encode(text)
      case .integer(let integer): try container.encode(integer)
      case .number(let number): try container.encode(number)
      }
    }
  }

  /// `file`, `kind` (hdf5, split, safetensors, import, table or evaluation), `sha256` (not of a file of holes), `attributes`, `tensors` (`name`, `type`,
  /// `shape`); of a cache `written`, of a split `images`.
  func json() throws -> String {
    var document: Document
    switch contents {
    case .hdf5(let found):
      document = Document(file: path, kind: "hdf5", sha256: sha256)
      document.attributes = found.attributes.mapValues { value in
        switch value {
        case .text(let text): .text(text)
        case .integer(let integer): .integer(Int64(integer))
        // JSON has no word for what is not finite.
        case .number(let number): number.isFinite ? .number(number) : .text("\(number)")
        }
      }
      document.tensors = found.datasets.map { .init(name: $0.name, type: $0.type.rawValue, shape: $0.shape) }
      document.written = found.written.map { .init(rows: $0.rows, total: $0.total) }
    case .split(let split):
      document = Document(file: path, kind: "split", sha256: sha256)
      document.images = ["train": split.train.count, "valid": split.valid.count, "test": split.test.count]
    case .safetensors(let weights):
      document = Document(file: path, kind: "safetensors", sha256: sha256)
      document.attributes = weights.metadata.mapValues { .text($0) }
      document.tensors = Self.sorted(weights).map { .init(name: $0.name, type: $0.type, shape: $0.shape) }
    case .folder(let folder):
      document = Document(file: path, kind: folder.kind, sha256: sha256)
      document.attributes = folder.facts
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(document), as: UTF8.self)
  }
}
