/// A row of `ala table` as the settings name it (docs/table.md).
public struct RowSetting: Equatable, Sendable {
  /// A name out of `RowSetting.known`, or one of the user's own.
  public let name: String
  /// The explanation method; nil: that of the row's network.
  public let method: String?
  /// What lies over the table's base; nil: a row of `ala`'s own.
  public let settings: [Assignment]?

  /// One setting, or a member of one that is a map, with what `--set path=text` takes.
  public struct Assignment: Equatable, Sendable {
    public let path: String
    public let text: String

    public init(_ path: String, _ text: String) { (self.path, self.text) = (path, text) }
  }

  /// A row of `ala`'s own.
  public init(known name: String) { (self.name, method, settings) = (name, nil, nil) }

  init(name: String, method: String?, settings: [Assignment]) {
    (self.name, self.method, self.settings) = (name, method, settings)
  }

  /// The rows that a name alone stands for.
  public static let known = [
    "rise", "fcam", "cam", "gradcam", "rollout", "abn", "gaussian", "random", "i", "ii", "iii", "iv",
  ]

  /// Those of them that train a network which classifies.
  public static let classifiers = ["i", "ii", "iii", "iv", "abn", "cam"]

  /// What a row must not set: the table sets it, or all rows have it alike, for they would not be comparable.
  static func isOfTheTable(_ path: String) -> Bool {
    ["run.", "data.", "evaluation.", "checkpoint.", "table."].contains { path.hasPrefix($0) }
      || ["cache.dir", "cache.layers"].contains(path)
  }

  /// As canonical YAML.
  var yaml: String {
    guard let settings else { return name }
    var parts = ["name: \(quoted(name))"]
    if let method { parts.append("method: \(quoted(method))") }
    let lines = settings.map { one -> String in
      let isPlain = SettingTable.key(one.path)?.kind.isText == true
      return "\(one.path): \(isPlain ? quoted(one.text) : one.text)"
    }
    if !lines.isEmpty { parts.append("set: {\(lines.joined(separator: ", "))}") }
    return "{\(parts.joined(separator: ", "))}"
  }
}
