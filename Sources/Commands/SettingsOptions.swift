import ArgumentParser
import Cluster
import Failures
import Files
import Foundation
import Settings

/// The flags by which every configured command takes its settings.
struct SettingsOptions: ParsableArguments {
  @Option(name: .long, help: "The settings, a YAML file.")
  var config: String?

  @Option(
    name: .long,
    help: ArgumentHelp("One setting, such as training.lr=1e-4; may be repeated.", valueName: "key.path=value"))
  var set: [String] = []

  @Option(name: .long, help: "Threads of each process (run.threads).")
  var threads: Int?

  @Flag(name: .long, help: "Print what the settings resolve to and stop.")
  var dryRun = false

  /// The settings by flag > --set > ALA_* > file > default; every rank fails alike, and has the same ones.
  ///
  /// What could not have room on this machine is refused here, before anything is read; at a dry run, which may be made
  /// elsewhere, it is a warning.
  ///
  /// - Parameter isTraining: whether the command trains a network of these settings.
  func load(on cluster: Cluster, stored: String? = nil, isTraining: Bool = false) throws -> Configuration {
    let configuration = try cluster.agree {
      var flags: [(path: String, value: String)] = []
      if let threads { flags.append(("run.threads", "\(threads)")) }
      return try Configuration.load(
        file: config, stored: stored, flags: flags, sets: set, environment: ProcessInfo.processInfo.environment)
    }
    try cluster.requireAlike(configuration.sharedByRanks)
    cluster.setPatience(configuration.run.patienceSeconds)
    let share = Double(cluster.localSize) / Double(cluster.size)
    let excess = configuration.excess(configuration.memoryNeeds(isTraining: isTraining, share: share))
    if dryRun {
      if let excess, cluster.isRoot { StandardError.note("ala: warning: \(excess)") }
    } else {
      try cluster.share(excess)
    }
    return configuration
  }

  /// What `--dry-run` is for.
  func show(_ configuration: Configuration, on cluster: Cluster) throws {
    try cluster.onRoot { try StandardOutput.print(configuration.resolvedYAML, terminator: "") }
  }
}
