import ArgumentParser
import Cluster
import Experiments
import Failures
import Files
import Foundation
import Settings

/// How much a command says.
struct VolumeOptions: ParsableArguments {
  @Flag(name: [.customShort("q"), .long], help: "Say nothing on the terminal but warnings and errors.")
  var quiet = false

  @Flag(name: [.customShort("v"), .long], help: "Say more: settings that are not the defaults, and where time goes.")
  var verbose = false

  func validate() throws {
    if quiet && verbose { throw ValidationError("--quiet and --verbose: expected one of them") }
  }

  var volume: Volume { quiet ? .quiet : verbose ? .verbose : .usual }

  /// A note beside the files that are a command's result.
  func note(_ text: String) {
    if !quiet { StandardOutput.note(text) }
  }

  /// What `--verbose` is for before the work begins.
  func describe(_ settings: ResolvedSettings, _ log: RunLog) {
    for line in settings.changedLines { log.detail("setting \(line)") }
  }
}

/// The flags by which every configured command takes its settings.
struct SettingsOptions: ParsableArguments {
  @Option(name: .long, help: "The settings, a YAML file; or a pipe, as of a shell's <(…).", completion: .settingsFile)
  var config: String?

  @Option(
    name: .long,
    help: ArgumentHelp("One setting, such as training.lr=1e-4; may be repeated.", valueName: "key.path=value"),
    completion: .assignments)
  var set: [String] = []

  @Option(name: .long, help: "Threads of each process (run.threads).")
  var threads: Int?

  @Flag(
    name: .long,
    help: ArgumentHelp(
      "Print the settings, each with where it comes from, and stop; --estimate adds what the work costs."))
  var dryRun = false

  /// `run.patience_seconds` before MPI starts; nil where settings cannot be read, which is told later, or come by a pipe.
  var patience: Double? {
    guard config.map({ !isPipe($0) }) ?? true else { return nil }
    let settings = try? Configuration.load(file: config, sets: set, environment: ProcessInfo.processInfo.environment)
    return settings?.run.patienceSeconds
  }

  /// The settings by flag > --set > ALA_* > file > default; every rank fails alike, and has the same ones.
  ///
  /// What could not have room on this machine is refused here, before anything is read; at a dry run, which may be made
  /// elsewhere, it is a warning.
  ///
  /// - Parameter isTraining: whether the command trains a network of these settings.
  func resolve(on cluster: Cluster, stored: String? = nil, isTraining: Bool = false) throws -> ResolvedSettings {
    let settings = try cluster.agree {
      if let config, cluster.size > 1, isPipe(config) {
        throw Failure.badConfiguration(
          "\(config): is a pipe, which one process reads, and there are \(cluster.size) ranks; write the settings into a file"
        )
      }
      var flags: [(path: String, value: String)] = []
      if let threads { flags.append(("run.threads", "\(threads)")) }
      return try Configuration.resolve(
        file: config, stored: stored, flags: flags, sets: set, environment: ProcessInfo.processInfo.environment)
    }
    let configuration = settings.configuration
    try cluster.requireAlike(configuration.sharedByRanks)
    cluster.setPatience(configuration.run.patienceSeconds)
    let excess = excess(configuration, isTraining: isTraining, cluster)
    if dryRun {
      if let excess, cluster.isRoot { StandardError.note("ala: warning: \(excess)") }
    } else {
      try cluster.share(excess)
    }
    return settings
  }

  /// What the settings need beyond this machine's memory.
  func excess(_ configuration: Configuration, isTraining: Bool, _ cluster: Cluster) -> Failure? {
    let share = Double(cluster.localSize) / Double(cluster.size)
    return configuration.excess(configuration.memoryNeeds(isTraining: isTraining, share: share))
  }

  /// - Throws: `ValidationError` where JSON is asked for of a dry run, which prints YAML.
  func check(json: Bool) throws {
    guard json && dryRun else { return }
    throw ValidationError("--json: is of what a run yields; --dry-run prints its settings as YAML")
  }

  /// What `--dry-run` is for: the settings, each with where it comes from.
  func show(_ settings: ResolvedSettings, on cluster: Cluster) throws {
    try cluster.onRoot { try StandardOutput.print(settings.text, terminator: "") }
  }
}

/// Lines as YAML's comments, behind the settings that a dry run prints.
func remarks(_ lines: [String]) -> String {
  lines.map { $0.isEmpty ? "#" : "# \($0)" }.joined(separator: "\n")
}
