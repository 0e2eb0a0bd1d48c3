import Files

/// An argument with `~` replaced by the home folder where it is a path, or a flag's value behind `=`: shells leave it
/// alone there. Settings in `--set` are read by their keys' kinds.
func expandingHome(inArgument argument: String) -> String {
  guard argument.hasPrefix("--"), let equals = argument.firstIndex(of: "=") else { return expandingHome(argument) }
  return argument[...equals] + expandingHome(String(argument[argument.index(after: equals)...]))
}
