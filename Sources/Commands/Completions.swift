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
  /// `--resume`: its words, and the checkpoints below the folder where the shell is.
  static let resumable = CompletionKind.shellCommand(
    "printf '%s\\n' auto never; find . -maxdepth 6 -path '*/checkpoints/*.h5' 2>/dev/null | sed 's,^[.]/,,'")
  static let methods = CompletionKind.list(MethodTable.methods.map(\.facts.name))
  static let productLibraries = CompletionKind.list(["auto", "openblas", "onednn"])
}
