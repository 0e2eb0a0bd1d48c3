import Failures

extension ResolvedSettings {
  /// What a setting means, may be, is, and why.
  ///
  /// - Parameter path: of a setting, or a section, which explains every setting in it.
  /// - Throws: `Failure` 78 for a path that is neither, naming the nearest.
  public func explanation(of path: String) throws -> String {
    let keys =
      SettingTable.key(path).map { [$0] } ?? SettingTable.keys.filter { $0.path.hasPrefix("\(path).") }
    guard !keys.isEmpty else { throw SettingReader.unknown(path, place: "--explain") }
    return keys.map(explanation).joined(separator: "\n\n")
  }

  private func explanation(_ key: SettingKey) -> String {
    let parts = key.path.split(separator: ".", maxSplits: 1)
    let value = configuration.yaml(key.path)
    return """
      \(key.path): \(value)
        meaning   \(key.meaning)
        may be    \(key.kind.expectation)
        default   \(key.standard.yaml)
        is from   \(origins[key.path]?.words ?? "default")
        set it    \(parts[0]): {\(parts[1]): \(value)} in a file, --set \(key.path)=\(value), \
      \(EnvironmentSettings.variable(key.path))=\(value)
        resumed   \(key.mayDiffer ? "a run may go on under another value" : "a run goes on under the same value alone")
      """
  }
}
