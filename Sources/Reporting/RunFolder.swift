import Failures
import Files
import Foundation
import Storage

/// What `ala train` has left in a run's folder, and the evaluations of its weights.
public struct RunFolder {
  /// A line of `metrics.jsonl`; a step that stands twice, after a resume, counts as it stands last.
  public struct Line: Decodable, Sendable {
    public let event: String
    public let epoch: Int
    public let step: Int?
    public let phase: String
    public let split: String?
    public let loss: Double?
    public let loss_pb: Double?
    public let loss_ab: Double?
    public let accuracy: Double?
    public let iou: Double?
    public let map_area: Double?
    public let samples_per_s: Double?
    public let model_sha256: String?
    /// By rank, of a `ranks` line.
    public let waits_for_data_ms: [Double]?
    public let waits_for_ranks_ms: [Double]?

    /// - Returns: nil for what is no object of a run, or of an epoch or a step that no run has.
    public init?(json: Data) {
      guard let line = try? JSONDecoder().decode(Line.self, from: json), RunFolder.counts.contains(line.epoch),
        RunFolder.stepNumbers.contains(line.step ?? 0)
      else { return nil }
      self = line
    }
  }

  /// What epochs, which are counted from 1, and a batch's images may be, by the settings.
  public static let counts = 1..<(1 << 31)
  /// What steps may be, as many as there can be batches in all epochs; their numbers leave room to count with.
  public static let stepNumbers = 0..<(1 << 62)

  public let path: String
  public let steps: [Line]
  public let epochs: [Line]
  /// Settings as they stand in `config.yaml`, by path.
  public let settings: [(key: String, value: String)]
  /// What the newest checkpoint says of the machine.
  public let machine: [String: String]
  /// The log's last line.
  public let lastWord: String
  public let evaluations: [EvaluationFolder]
  /// Evaluations beside them that cannot be read, with the reason; whether they are of this run need not be known.
  public let unreadable: [String]

  public static func isPresent(_ path: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(path)/metrics.jsonl")
  }

  /// - Throws: `Failure` 66 or 65, naming the file.
  public init(_ path: String) throws {
    self.path = path
    var steps: [Int: Line] = [:]
    var epochs: [String: Line] = [:]
    let data = try Self.read("\(path)/metrics.jsonl") ?? []
    let lines = data.split(separator: UInt8(ascii: "\n"))
    for (number, text) in lines.enumerated() {
      guard let line = Line(json: Data(text)) else {
        // A kill may have torn the last line.
        if number == lines.count - 1 { continue }
        throw Failure.badData(
          "\(path)/metrics.jsonl: line \(number + 1) is no object of a run, or has an impossible epoch or step")
      }
      if line.event == "step", let step = line.step { steps[step] = line }
      if line.event == "epoch" { epochs["\(line.epoch) \(line.split ?? "")"] = line }
    }
    self.steps = steps.sorted { $0.key < $1.key }.map(\.value)
    self.epochs = epochs.values.sorted { ($0.epoch, $0.split ?? "") < ($1.epoch, $1.split ?? "") }
    settings = Self.settings(try Self.text("\(path)/config.yaml"))
    let last = try? Checkpoint.attributesIfOurs("\(path)/checkpoints/last.h5")
    var machine: [String: String] = [:]
    if case .text(let json)? = last?["fingerprint"] {
      machine = (try? JSONDecoder().decode([String: String].self, from: Data(json.utf8))) ?? [:]
    }
    if case .integer(let ranks)? = last?["world_size"] { machine["ranks"] = "\(ranks)" }
    self.machine = machine
    let log = "\(path)/log.txt"
    let end = FileManager.default.fileExists(atPath: log) ? try readEnd(of: log, count: Self.logBytes) : []
    lastWord = String(decoding: end, as: UTF8.self).split(whereSeparator: \.isNewline).last.map(String.init) ?? ""
    (evaluations, unreadable) = try Self.evaluations(path, of: Set(self.epochs.compactMap(\.model_sha256)))
  }

  /// Of any of its text files: a run of a million steps has less than half of it.
  static let mostBytes = 1 << 30

  /// Of a log's end, where its last line is.
  private static let logBytes = 64 << 10

  /// - Returns: nil where there is no such file.
  static func read(_ path: String) throws -> [UInt8]? {
    FileManager.default.fileExists(atPath: path) ? try readFile(path, most: mostBytes) : nil
  }

  /// - Returns: "" where there is no such file.
  public static func text(_ path: String) throws -> String { String(decoding: try read(path) ?? [], as: UTF8.self) }

  /// `section:` lines and `  key: value` lines, as resolved settings are written.
  public static func settings(_ text: String) -> [(key: String, value: String)] {
    var section = ""
    var result: [(String, String)] = []
    for line in text.split(whereSeparator: \.isNewline) {
      guard let colon = line.firstIndex(of: ":") else { continue }
      if line.hasPrefix(" ") {
        let value = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        result.append(("\(section).\(line[..<colon].trimmingCharacters(in: .whitespaces))", value))
      } else {
        section = String(line[..<colon])
      }
    }
    return result
  }

  /// Evaluations of the run's weights: in its folder, below it, or beside it.
  private static func evaluations(
    _ path: String, of digests: Set<String>
  ) throws -> (found: [EvaluationFolder], unreadable: [String]) {
    let manager = FileManager.default
    func below(_ folder: String) -> [String] {
      ((try? manager.contentsOfDirectory(atPath: folder)) ?? []).sorted().map { "\(folder)/\($0)" }
    }
    let parent = URL(fileURLWithPath: path).deletingLastPathComponent().path
    var (found, unreadable, seen) = ([EvaluationFolder](), [String](), Set<String>())
    for candidate in [path] + below(path) + below(parent) {
      let file = "\(candidate)/summary.json"
      var status = stat()
      guard lstat(file, &status) == 0,
        seen.insert(URL(fileURLWithPath: candidate).standardizedFileURL.path).inserted
      else { continue }
      do {
        let summary = try object(file)
        // What lies beside may be anybody's.
        guard let digest = (summary as? [String: Any])?["model_sha256"] as? String, digests.contains(digest) else {
          continue
        }
        found.append(try EvaluationFolder(candidate))
      } catch let failure as Failure where failure.code != .unavailable {
        unreadable.append(failure.message)
      }
    }
    return (found, unreadable)
  }

  /// - Throws: `Failure` 66 or 65.
  private static func object(_ path: String) throws -> Any {
    let data = Data(try readFile(path, most: mostBytes))
    guard let object = try? JSONSerialization.jsonObject(with: data) else {
      throw Failure.badData("\(path): is no JSON")
    }
    return object
  }
}
