import Caching
import Experiments
import ArgumentParser
import Cluster
import Foundation

struct CacheCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache",
    abstract: "Encodes every view once and stores the features; goes on where it was interrupted.",
    discussion: """
      Examples:
        mpirun -np 2 ala cache --config configs/quickstart.yaml
        ala cache --config configs/quickstart.yaml --verify
      """)

  @OptionGroup var settings: SettingsOptions
  @OptionGroup var cost: CostOptions
  @OptionGroup var volume: VolumeOptions

  @Flag(help: "Write nothing; read every row against its checksum.")
  var verify = false

  var endsOnSignals: Bool { settings.dryRun || verify }
  var isSharedByRanks: Bool { true }

  func validate() throws { try cost.check(isDryRun: settings.dryRun) }

  var patience: Double? { settings.patience }

  func run(on cluster: Cluster) throws {
    let resolved = try settings.resolve(on: cluster)
    if settings.dryRun { return try cost.show(resolved, settings, of: .caching, on: cluster) }
    let configuration = resolved.configuration
    let log = RunLog(cluster, volume: volume.volume)
    volume.describe(resolved, log)
    let start = Date()
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    log.detail(String(format: "data set and encoder were read in %.1f s", Date().timeIntervalSince(start)))
    if verify {
      try verifyCache(experiment, log: log)
    } else {
      try runCachingPass(experiment, log: log)
    }
  }
}
