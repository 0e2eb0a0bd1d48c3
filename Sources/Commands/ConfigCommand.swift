import ArgumentParser
import Cluster
import Files
import Foundation
import Settings

struct ConfigCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "config",
    abstract: "Tells the settings: what they resolve to, what one of them means, or all as a JSON schema.",
    discussion: """
      Examples:
        ala config --config my.yaml
        ala config --explain training.lr --config my.yaml
        ala config --schema > ala.schema.json
      """)

  @Option(help: "The settings, a YAML file; or a pipe, as of a shell's <(…).", completion: .settingsFile)
  var config: String?

  @Option(
    help: ArgumentHelp("One setting, such as training.lr=1e-4; may be repeated.", valueName: "key.path=value"),
    completion: .assignments)
  var set: [String] = []

  @Option(
    help: ArgumentHelp("Explain a setting, or every setting of a section.", valueName: "key.path"),
    completion: .settings)
  var explain: String?

  @Flag(help: "Print a JSON schema, by which editors check settings files (docs/running.md).")
  var schema = false

  func validate() throws {
    if schema && (explain != nil || config != nil || !set.isEmpty) {
      throw ValidationError("--schema tells of no settings in particular: give it alone")
    }
  }

  func run(on cluster: Cluster) throws {
    try cluster.onRoot {
      if schema { return try StandardOutput.print(SettingTable.schema, terminator: "") }
      let settings = try Configuration.resolve(
        file: config, sets: set, environment: ProcessInfo.processInfo.environment)
      if let explain {
        try StandardOutput.print(try settings.explanation(of: explain))
      } else {
        try StandardOutput.print(settings.text, terminator: "")
      }
    }
  }
}
