import Explaining
import Settings

/// A network that rows of the table are of: it is trained once for each seed.
struct ComparedNetwork: Sendable {
  /// Of the row that it is trained for; its runs lie in a folder of this name.
  let name: String
  /// But for seed and folders.
  let configuration: Configuration
  /// The network whose checkpoint of the same seed this one is trained on, by its place in the table's list.
  let classifier: Int?

  var kind: String { configuration.model.kind }
}

/// A row of the table: a method, and the network that it explains.
struct ComparedRow: Sendable {
  /// What a row stands for in a comparison.
  enum Role: String, Codable, Sendable {
    /// The base of the table, or the base with other settings, by its own map.
    case base
    case baseline
    /// A map that says nothing of the trained model.
    case control
  }

  let name: String
  let title: String
  let method: any ExplanationMethod
  /// The network's place in the table's list.
  let network: Int
  /// The network's settings, with those of the method that the row sets.
  let configuration: Configuration
  let role: Role
}
