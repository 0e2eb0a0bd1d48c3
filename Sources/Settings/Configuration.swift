import Failures
import Foundation

/// The settings of a run, read, checked and typed (docs/settings.md). Property names are the keys'.
public struct Configuration: Equatable, Sendable {
  public struct Run: Equatable, Sendable {
    public let dir: String
    public let seed: UInt64
    public let threads: Int?
    /// "auto", "openblas" or "onednn".
    public let products: String
    public let patienceSeconds: Double
  }

  public struct Data: Equatable, Sendable {
    public let root: String
    public let layout: String
    /// nil: looked for.
    public let labels: String?
    /// "auto", "none" or a file.
    public let boxes: String
    /// nil: all.
    public let classes: [String]?
    public let splitSeed: UInt64
    /// "auto", "none" or a folder.
    public let segmentations: String
    /// Of 255; foreground of a mask are the levels above it.
    public let maskThreshold: Int
    public let skipUnreadable: Bool
    public let followLinks: Bool
  }

  public struct Image: Equatable, Sendable {
    public let size: Int
    /// The shorter side in pixels and the probability of a flip; nil: the evaluation view.
    public let crop: Crop?

    public struct Crop: Equatable, Sendable {
      public let resize: Int
      public let flip: Double
    }
  }

  public struct Encoder: Equatable, Sendable {
    public let weights: String
    public let depth: Int?
    public let heads: Int?
    public let activation: String
    public let precision: String
    public let mean: [Double]?
    public let std: [Double]?
  }

  public struct Model: Equatable, Sendable {
    public let kind: String
  }

  public struct LoRA: Equatable, Sendable {
    public let blocks: [Int]
    public let rank: Int
    public let scale: Double
    public let targets: [String]
    public let phases: [String]
  }

  public struct Side: Equatable, Sendable {
    public let width: Int
    public let heads: Int
    public let layers: Int
    public let fusion: [Int]
  }

  public struct Attention: Equatable, Sendable {
    public let head: String
    public let kernel: Int
    public let dropout: Double
    public let padding: String
  }

  public struct Perception: Equatable, Sendable {
    public let channels: [Int]
    public let dropout: Double
    public let inputNorm: String
  }

  /// The decoder of F-CAM and its loss.
  public struct FCAM: Equatable, Sendable {
    public let classifier: String?
    /// nil: those of `side.fusion`.
    public let skips: [Int]?
    public let widths: [Int]
    public let erosion: Int
    public let dilation: Int
    public let background: Double
    public let seedWeight: Double
    public let sizeWeight: Double
    public let barrierStart: Double
    public let barrierGrowth: Double
    public let barrierMost: Double
    public let crfWeight: Double
    public let sigmaXY: Double
    public let sigmaRGB: Double
  }

  public struct Training: Equatable, Sendable {
    public let epochs: Int
    public let batch: Int
    public let lanes: Int
    public let aea: Bool
    public let aeaStart: String
    public let lambda: Double
    public let optimizer: String
    public let lr: Double
    public let momentum: Double
    public let weightDecay: Double
    /// The power of the poly schedule; nil: constant.
    public let poly: Double?
    public let clip: Double
    public let patience: Int
    public let select: String
    public let maxSkipped: Int
    public let injectNaNAtStep: Int?
  }

  public struct Cache: Equatable, Sendable {
    public let dir: String?
    public let views: Int
    public let dtype: String
    public let layers: Layers

    /// Beside h⁽ᵐ⁻¹⁾.
    public enum Layers: Equatable, Sendable {
      /// All that the network reads.
      case all
      case none
      case some([Int])

      public var isShared: Bool { if case .some = self { true } else { false } }
    }
  }

  public struct Checkpoint: Equatable, Sendable {
    public let everyMinutes: Double
    public let everyEpochs: Int
    public let keep: Int
  }

  public struct Evaluation: Equatable, Sendable {
    public let `protocol`: String
    public let iouRule: String
    public let steps: Int
    public let substrate: String
    public let target: String
  }

  /// The explanation method `rise`.
  public struct RISE: Equatable, Sendable {
    public let masks: Int
    public let cells: Int
    public let keep: Double
    public let absent: String
    /// nil: all masks, always.
    public let settle: Double?
  }

  /// `ala table`.
  public struct Table: Equatable, Sendable {
    public let rows: [RowSetting]
    public let seeds: [UInt64]
    public let limit: Int?
    public let classifier: String
  }

  public let run: Run
  public let data: Data
  public let image: Image
  public let encoder: Encoder
  public let model: Model
  public let lora: LoRA
  public let side: Side
  public let attention: Attention
  public let perception: Perception
  public let fcam: FCAM
  public let training: Training
  public let cache: Cache
  public let checkpoint: Checkpoint
  public let evaluation: Evaluation
  public let rise: RISE
  public let table: Table
  /// By path.
  let values: [String: SettingValue]

  /// Reads settings: flag > `--set` > environment > file > default.
  ///
  /// - Parameters:
  ///   - stored: settings that a checkpoint carries, below all others.
  ///   - flags: (path, value) of flags that stand for a setting.
  ///   - sets: the texts of `--set`, `key.path=value`.
  ///   - environment: of the process; see `EnvironmentSettings`.
  /// - Throws: `Failure` 66 (no such file), 78 (anything wrong in them), 64 (`--set` without =).
  public static func load(
    file: String?, stored: String? = nil, flags: [(path: String, value: String)] = [], sets: [String] = [],
    environment: [String: String] = [:]
  ) throws -> Configuration {
    try resolve(file: file, stored: stored, flags: flags, sets: sets, environment: environment).configuration
  }

  /// The same, with where each setting comes from.
  public static func resolve(
    file: String?, stored: String? = nil, flags: [(path: String, value: String)] = [], sets: [String] = [],
    environment: [String: String] = [:]
  ) throws -> ResolvedSettings {
    var reader = SettingReader()
    if let stored { try reader.add(text: stored, place: "the checkpoint's settings") }
    if let file { try reader.add(file: file) }
    for (variable, value) in try EnvironmentSettings.named(in: environment) {
      try reader.add(
        path: variable.path, yaml: value, place: variable.name, origin: .environment(variable.name))
    }
    for text in sets {
      guard let equals = text.firstIndex(of: "=") else {
        throw Failure.usage("--set \(text): expected key.path=value")
      }
      try reader.add(
        path: String(text[..<equals]), yaml: String(text[text.index(after: equals)...]), place: "--set")
    }
    for (path, value) in flags {
      try reader.add(path: path, yaml: value, place: "--\(path.split(separator: ".").last ?? "")")
    }
    return ResolvedSettings(configuration: try Configuration(try reader.values()), origins: reader.origins)
  }

  /// Reads what `resolvedYAML` has written.
  public init(resolvedYAML: String, place: String) throws {
    do {
      var reader = SettingReader()
      try reader.add(text: resolvedYAML, place: place)
      try self.init(try reader.values())
    } catch let failure as Failure {
      throw Failure.badData("\(place): its stored settings cannot be read: \(failure.message)")
    }
  }

  /// These settings with others over them, one after the other.
  ///
  /// - Parameter place: for messages.
  /// - Throws: `Failure` 78.
  public func overlaid(_ assignments: [RowSetting.Assignment], place: String) throws -> Configuration {
    var reader = SettingReader()
    try reader.add(text: resolvedYAML, place: place)
    for one in assignments { try reader.add(path: one.path, yaml: one.text, place: place, isLiteral: true) }
    return try Configuration(try reader.values())
  }

  /// A setting's value as canonical YAML.
  public func yaml(_ path: String) -> String { values[path]?.yaml ?? "null" }

  /// Every setting, in a fixed order and form; reading it gives equal settings.
  public var resolvedYAML: String { lines { _ in "" } }

  /// The same.
  ///
  /// - Parameter remark: what stands behind the setting of a path.
  func lines(_ remark: (String) -> String) -> String {
    var lines: [String] = []
    var section = ""
    for key in SettingTable.keys {
      let parts = key.path.split(separator: ".", maxSplits: 1)
      if parts[0] != section {
        section = String(parts[0])
        lines.append("\(section):")
      }
      lines.append("  \(parts[1]): \(values[key.path]?.yaml ?? "null")\(remark(key.path))")
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Settings in which ranks may differ: threads, and paths whose contents are compared instead.
  private static let ownOfRanks = [
    "run.threads", "data.root", "data.layout", "data.labels", "data.boxes", "data.segmentations", "encoder.weights",
    "fcam.classifier",
  ]

  /// What all ranks of a run must have alike, setting by setting.
  public var sharedByRanks: [(key: String, value: String)] {
    SettingTable.keys.filter { !Self.ownOfRanks.contains($0.path) }.map { ($0.path, values[$0.path]?.yaml ?? "null") }
  }

  /// The keys in which another run's settings differ so that the result would: what a resumed run must not change.
  public func differences(from other: Configuration) -> [(key: String, own: String, other: String)] {
    SettingTable.keys.compactMap { key in
      guard !key.mayDiffer, let own = values[key.path], let theirs = other.values[key.path], own != theirs else {
        return nil
      }
      return (key.path, own.yaml, theirs.yaml)
    }
  }
}
