import Digests
import Failures
import Files
import Foundation

/// What a stage has left in its folder of what it was made from: by this it is known again, and skipped when it is done.
struct StageRecord: Codable, Equatable {
  /// The digest of everything that the stage's result depends on.
  let inputs: String
  /// SHA-256 of what it has made, by name; nil while it is under way.
  var outputs: [String: String]?

  private static let mostBytes = 1 << 20

  static func read(_ path: String) -> StageRecord? {
    (try? readFile(path, most: mostBytes)).flatMap { try? JSONDecoder().decode(StageRecord.self, from: Data($0)) }
  }

  func write(to path: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    try writeAtomically(Array(try encoder.encode(self)), to: path)
  }

  /// Whether files of a folder are what the stage has made.
  func isSound(in folder: String) -> Bool {
    guard let outputs, !outputs.isEmpty else { return false }
    return outputs.allSatisfy { (try? SHA256.ofFile("\(folder)/\($0.key)")) == $0.value }
  }

  /// The digests of files of a folder.
  ///
  /// - Throws: `Failure` 66 for one that is not there.
  static func digests(_ names: [String], in folder: String) throws -> [String: String] {
    try Dictionary(uniqueKeysWithValues: names.map { ($0, try SHA256.ofFile("\(folder)/\($0)")) })
  }
}
