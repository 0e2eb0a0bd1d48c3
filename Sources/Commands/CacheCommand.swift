import Caching
import Experiments
import ArgumentParser
import Cluster

struct CacheCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "cache",
    abstract: "Encodes every view once and stores the features; goes on where it was interrupted.",
    discussion: "Example: mpirun -np 2 ala cache --config configs/quickstart.yaml")

  @OptionGroup var settings: SettingsOptions

  @Flag(help: "Write nothing; read every row against its checksum.")
  var verify = false

  var endsOnSignals: Bool { settings.dryRun || verify }

  func run(on cluster: Cluster) throws {
    let configuration = try settings.load(on: cluster)
    if settings.dryRun { return try settings.show(configuration, on: cluster) }
    let log = RunLog(cluster)
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    if verify {
      try verifyCache(experiment, log: log)
    } else {
      try runCachingPass(experiment, log: log)
    }
  }
}
