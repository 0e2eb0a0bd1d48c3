import Failures
import Files
import Foundation

/// How the stages of a table stand: `ala table` writes it as it goes on, for those who look on (docs/table.md).
public struct TableStages: Codable, Equatable, Sendable {
  public static let fileName = "stages.json"

  public enum Kind: String, Codable, Sendable { case cache, train, evaluate }
  public enum State: String, Codable, Sendable { case waiting, running, done, failed }

  public struct Stage: Codable, Equatable, Sendable {
    public let name: String
    public let kind: Kind
    /// The network that is trained, the row that is evaluated, or the cache.
    public let subject: String
    public let seed: UInt64
    /// What it is estimated to take, measured before the first stage.
    public let estimatedSeconds: Double
    public var state: State
    /// When it began, in seconds since 1970; nil before.
    public var beganAt: Double?
    /// What it took where it was done by the call that is told of.
    public var tookSeconds: Double?
    /// Why it failed.
    public var failure: String?

    public init(
      name: String, kind: Kind, subject: String, seed: UInt64, estimatedSeconds: Double, state: State
    ) {
      (self.name, self.kind, self.subject, self.seed) = (name, kind, subject, seed)
      (self.estimatedSeconds, self.state) = (estimatedSeconds, state)
    }

    enum CodingKeys: String, CodingKey {
      case name, kind, subject, seed, state, failure
      case estimatedSeconds = "estimated_seconds"
      case beganAt = "began_at"
      case tookSeconds = "took_seconds"
    }
  }

  public struct Row: Codable, Equatable, Sendable {
    public let name: String
    /// Of the network that it explains.
    public let network: String

    public init(name: String, network: String) { (self.name, self.network) = (name, network) }
  }

  /// In the table's order.
  public let rows: [Row]
  public let seeds: [UInt64]
  /// Who was measured, in words.
  public let workers: String
  /// In the order in which they are run.
  public var stages: [Stage]

  public init(rows: [Row], seeds: [UInt64], workers: String, stages: [Stage]) {
    (self.rows, self.seeds, self.workers, self.stages) = (rows, seeds, workers, stages)
  }

  /// What a table's folder tells; nil before the first stage.
  public static func read(from folder: String) -> TableStages? {
    (try? readFile("\(folder)/\(fileName)", most: RunFolder.mostBytes))
      .flatMap { try? JSONDecoder().decode(TableStages.self, from: Data($0)) }
  }

  /// - Throws: `Failure` 73.
  public func write(to folder: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeAtomically(Array(try encoder.encode(self)), to: "\(folder)/\(Self.fileName)")
  }

  /// Where a network's run lies in a table's folder.
  public static func runFolder(_ network: String, seed: UInt64) -> String { "runs/\(network)/\(seed)" }
}
