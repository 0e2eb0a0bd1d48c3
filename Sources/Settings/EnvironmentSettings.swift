import Failures
import Foundation

/// Settings out of the environment: `ALA_` and a path in capitals with two underscores for each dot. A variable that
/// looks like one and is none is an error, for a setting that is mistyped would be a setting that is not made.
public enum EnvironmentSettings {
  static let prefix = "ALA_"
  /// `run.threads`, in short.
  static let threads = "ALA_THREADS"
  /// Variables that make no setting: of the build, of this repository's tests and scripts, and of its launchers.
  static let others = ["ALA_COMMIT", "ALA_FIDELITY", "ALA_LAUNCHED", "ALA_PICTURES"]

  /// The launcher that the program starts ranks of its own with.
  public static let launcher = "ALA_MPIRUN"

  struct Variable: Equatable {
    let name: String
    let path: String
  }

  /// The settings that the environment makes, in the order of the variables' names.
  ///
  /// - Throws: `Failure` 78 for a variable that names no setting, and where two name one with different values.
  static func named(in environment: [String: String]) throws -> [(variable: Variable, value: String)] {
    var found: [(variable: Variable, value: String)] = []
    for (name, value) in environment.sorted(by: { $0.key < $1.key })
    where name.hasPrefix(prefix) && name != launcher && !others.contains(name) {
      let path = name == threads ? "run.threads" : path(of: name)
      guard SettingReader.knows(path) else {
        let nearest = SettingTable.nearest(
          to: name.contains("__") ? path : path.replacing("_", with: ".", maxReplacements: 1))
        throw Failure.badConfiguration(
          "\(name): there is no setting \(path)"
            + (nearest.map { "; the nearest is \($0), in the environment \(variable($0))" } ?? SettingTable.listing))
      }
      if let other = found.first(where: { $0.variable.path == path && $0.value != value }) {
        throw Failure.badConfiguration(
          "\(name) is \"\(value)\", but \(other.variable.name) is \"\(other.value)\", and both are \(path): unset one")
      }
      found.append((Variable(name: name, path: path), value))
    }
    return found
  }

  /// An environment without what makes settings, for a program that shall have them from elsewhere.
  public static func removed(from environment: [String: String]) -> [String: String] {
    environment.filter { name, _ in !name.hasPrefix(prefix) }
  }

  /// Checks the names alone, for commands that read no settings.
  ///
  /// - Throws: `Failure` 78.
  public static func check(_ environment: [String: String]) throws { _ = try named(in: environment) }

  private static func path(of name: String) -> String {
    name.dropFirst(prefix.count).lowercased().replacing("__", with: ".")
  }

  static func variable(_ path: String) -> String {
    prefix + path.uppercased().replacing(".", with: "__")
  }
}
