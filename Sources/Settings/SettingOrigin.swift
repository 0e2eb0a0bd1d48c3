/// Where a setting's value comes from.
public enum SettingOrigin: Equatable, Sendable {
  case standard
  /// Of a checkpoint.
  case stored
  /// File and line.
  case file(String)
  /// File and line of a file that another one extends.
  case extended(String)
  /// The variable.
  case environment(String)
  /// `--set`, or the flag that stands for the setting.
  case flag(String)

  /// In words, behind the value.
  public var words: String {
    switch self {
    case .standard: "default"
    case .stored: "the checkpoint"
    case .file(let place): place
    case .extended(let place): "\(place), by extends"
    case .environment(let name): "environment, \(name)"
    case .flag(let name): name
    }
  }
}

/// Settings, and where each of them comes from.
public struct ResolvedSettings: Sendable {
  public let configuration: Configuration
  /// Of every setting, by its path.
  public let origins: [String: SettingOrigin]

  /// The settings that are somebody's choice, a line each.
  public var changedLines: [String] {
    SettingTable.keys.compactMap { key in
      guard let origin = origins[key.path], origin != .standard else { return nil }
      return "\(key.path): \(configuration.yaml(key.path))  (\(origin.words))"
    }
  }

  /// Every setting with its origin, as YAML that reads back as the same settings.
  public var text: String {
    configuration.lines { path in origins[path].map { "  # \($0.words)" } ?? "" }
  }
}
