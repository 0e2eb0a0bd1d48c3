import Dataset
import Experiments
import Failures
import Files
import Foundation
import Metrics
import Reporting

/// What a folder is that a command has written, and its main facts, as far as a file in it tells them.
struct InspectedFolder {
  let kind: String
  /// The file that tells them.
  let file: String
  let lines: [String]
  let facts: [String: InspectedFile.Value]

  /// What `ala import`, `ala table` and `ala evaluate` have made, by the file in it that tells.
  private static let kinds: [(command: String, file: String, look: @Sendable (String) throws -> InspectedFolder)] = [
    ("import", ImportReport.fileName, dataset), ("table", TableStages.fileName, table),
    ("evaluate", "summary.json", evaluation),
  ]

  /// A folder of such a kind, or the file in one that tells; nil for anything else.
  ///
  /// - Throws: `Failure` 66 or 65 for that file.
  static func find(_ path: String) throws -> InspectedFolder? {
    for (command, file, look) in kinds {
      if OutputFolder.isMade(path, by: command) { return try look("\(path)/\(file)") }
      let isFile = path == file || path.hasSuffix("/\(file)")
      if isFile, OutputFolder.isMade(folder(of: path), by: command) { return try look(path) }
    }
    return nil
  }

  private static func folder(of file: String) -> String {
    let folder = parentFolder(of: file)
    return folder.isEmpty ? "." : folder
  }

  private static let mostBytes = 1 << 30

  private static func read<Value: Decodable>(_ type: Value.Type, _ file: String, of command: String) throws -> Value {
    let bytes = try readFile(file, most: mostBytes)
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      throw Failure.badData("\(file): is not what ala \(command) writes; run it again")
    }
  }

  private struct Imported: Decodable {
    struct Class: Decodable { let name: String }

    let source: String
    let images, masks, boxes, train, test: Int
    let valid: Int?
    let classes: [Class]
  }

  private static func dataset(_ file: String) throws -> InspectedFolder {
    let found = try read(Imported.self, file, of: "import")
    let counts = [
      ("images", found.images), ("classes", found.classes.count), ("train", found.train), ("valid", found.valid),
      ("test", found.test), ("masks", found.masks), ("boxes", found.boxes),
    ]
    return InspectedFolder(
      kind: "import", file: file,
      lines: ["a data set that ala import has made of \(found.source) (data.root)"]
        + counts.compactMap { name, count in count.map { "\(name): \($0)" } },
      facts: Dictionary(
        uniqueKeysWithValues: [("source", .text(found.source))]
          + counts.compactMap { name, count in count.map { (name, .integer(Int64($0))) } }))
  }

  private static func table(_ file: String) throws -> InspectedFolder {
    let path = folder(of: file)
    let found = try read(TableStages.self, file, of: "table")
    let done = found.stages.count { $0.state == .done }
    let failed = found.stages.count { $0.state == .failed }
    let (rows, seeds) = (found.rows.map(\.name).joined(separator: ", "), found.seeds.map { "\($0)" })
    let result = "\(path)/table.md"
    let isWritten = FileManager.default.fileExists(atPath: result)
    return InspectedFolder(
      kind: "table", file: file,
      lines: [
        "a table of ala table; ala watch \(shellWord(path)) says how each row stands", "rows: \(rows)",
        "seeds: \(seeds.joined(separator: ", "))",
        "stages: \(done) of \(found.stages.count) done\(failed > 0 ? ", \(failed) failed" : "")",
        isWritten ? "result: \(result)" : "result: none yet",
      ],
      facts: [
        "rows": .text(rows), "seeds": .text(seeds.joined(separator: ", ")),
        "stages": .integer(Int64(found.stages.count)),
        "done": .integer(Int64(done)), "failed": .integer(Int64(failed)),
      ])
  }

  private static func evaluation(_ file: String) throws -> InspectedFolder {
    let found = try read(EvaluationSummary.self, file, of: "evaluate")
    let settings = found.settings.filter { ["method", "split", "subset", "protocol", "run_dir"].contains($0.key) }
    var facts = settings.mapValues { InspectedFile.Value.text($0) }
    facts.merge(found.figures.mapValues { .number($0) }) { first, _ in first }
    facts["images"] = .integer(Int64(found.counts.images))
    facts["model_sha256"] = .text(found.modelSHA256)
    return InspectedFolder(
      kind: "evaluation", file: file,
      lines: ["an evaluation of ala evaluate; ala report \(shellWord(folder(of: file))) makes a page of it"]
        + settings.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        + ["model_sha256: \(found.modelSHA256)"] + found.terminalLines,
      facts: facts)
  }
}
