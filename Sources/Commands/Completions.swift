import ArgumentParser
import Benchmark
import Explaining
import Settings

/// What a shell offers for an option's or argument's value, where the parser cannot know it.
extension CompletionKind {
  static let settingsFile = CompletionKind.file(extensions: ["yaml", "yml"])
  /// A section or key of the settings.
  static let settings = CompletionKind.list(
    Set(SettingTable.keys.map { String($0.path.prefix { $0 != "." }) }).sorted() + SettingTable.keys.map(\.path))
  /// "key.path=", behind which a value goes.
  static let assignments = CompletionKind.list(SettingTable.keys.map { "\($0.path)=" })
  static let methods = CompletionKind.list(MethodTable.methods.map(\.facts.name))
  static let productLibraries = CompletionKind.list(["auto", "openblas", "onednn"])
}
