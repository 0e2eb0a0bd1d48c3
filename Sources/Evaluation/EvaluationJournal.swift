import Experiments
import Cluster
import Digests
import Failures
import Files
import Foundation

/// The outcomes of an evaluation that is not finished: every rank appends its own to a file, a JSON object a line, so
/// that an interrupted evaluation goes on where it was, at any world size. A line that a kill has torn is left out.
public final class EvaluationJournal {
  /// Outcomes of an earlier call, by image id.
  public private(set) var known: [Int: ImageOutcome] = [:]

  private let folder: String
  private let cluster: Cluster
  private var file: AppendedFile?

  /// JSON has no numbers for what is not finite.
  static let encoder: JSONEncoder = {
    let encoder = JSONEncoder()
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return encoder
  }()

  static let decoder: JSONDecoder = {
    let decoder = JSONDecoder()
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return decoder
  }()

  /// Reads what an interrupted call has left in `folder`; outcomes of anything else are removed.
  ///
  /// - Parameter identity: of everything that an outcome depends on.
  public init(folder: String, identity: String, cluster: Cluster, log: RunLog) throws {
    self.folder = folder
    self.cluster = cluster
    let digest = SHA256.of(identity)
    var count = 0
    try cluster.onRoot {
      try makeFolder(folder)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      count = names.count
      for name in names where !Self.isOf(digest, "\(folder)/\(name)") {
        unlink("\(folder)/\(name)")
        log.warning("\(folder)/\(name): is of another evaluation and is removed")
      }
    }
    let bytes = try cluster.fromRoot { try Self.read(folder) }
    for outcome in try Self.decoder.decode([ImageOutcome].self, from: Data(bytes)) {
      known[outcome.record.imageID] = outcome
    }
    if !known.isEmpty { log.info("\(known.count) images are done already") }
    // A name that no earlier call has used: its last line may be torn.
    let generation = cluster.maximum(count)
    try cluster.agree {
      let new = try AppendedFile("\(folder)/\(generation)-\(cluster.rank).jsonl", isNew: true)
      try new.append("\(digest)\n")
      file = new
    }
  }

  /// Keeps outcomes.
  ///
  /// - Throws: `Failure` 73.
  func append(_ outcomes: [ImageOutcome]) throws {
    guard !outcomes.isEmpty else { return }
    var text = ""
    for outcome in outcomes { text += String(decoding: try Self.encoder.encode(outcome), as: UTF8.self) + "\n" }
    try file?.append(text)
  }

  /// Removes the journal: the evaluation's own files are written.
  public func finish() throws {
    file = nil
    cluster.barrier()
    try cluster.onRoot { try? FileManager.default.removeItem(atPath: folder) }
  }

  private static func isOf(_ digest: String, _ path: String) -> Bool {
    let mark = Array("\(digest)\n".utf8)
    return (try? readBeginning(of: path, count: mark.count)) == mark
  }

  /// All whole lines of all files, as one JSON array.
  private static func read(_ folder: String) throws -> [UInt8] {
    var lines: [Data] = []
    for name in try FileManager.default.contentsOfDirectory(atPath: folder).sorted() {
      let data = Data((try? readFile("\(folder)/\(name)", most: .max)) ?? [])
      for line in data.split(separator: UInt8(ascii: "\n")).dropFirst()
      where (try? decoder.decode(ImageOutcome.self, from: line)) != nil {
        lines.append(line)
      }
    }
    return Array("[".utf8) + lines.joined(separator: Array(",".utf8)) + Array("]".utf8)
  }
}
