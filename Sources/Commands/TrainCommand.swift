import Experiments
import ArgumentParser
import Cluster
import Foundation
import Settings
import Training

struct TrainCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "train",
    abstract: "Trains the adapter; the same command goes on with an interrupted run.",
    discussion: """
      Examples:
        mpirun -np 2 ala train --config configs/quickstart.yaml
        ala train --config configs/quickstart.yaml --set training.lr=1e-4 --set run.dir=runs/slower
        ala train --config configs/quickstart.yaml --dry-run --estimate
      """)

  @OptionGroup var settings: SettingsOptions
  @OptionGroup var cost: CostOptions
  @OptionGroup var volume: VolumeOptions

  @Option(
    help: ArgumentHelp(
      "auto goes on with the newest sound checkpoint of run.dir, never starts anew there and removes its checkpoints, FILE "
        + "goes on from that checkpoint.", valueName: "auto|never|FILE"), completion: .resumable)
  var resume = "auto"

  @Option(
    name: .customLong("init"),
    help: ArgumentHelp(
      "Start from the weights of a checkpoint, of an HDF5 file with /model, or of an export.", valueName: "FILE"),
    completion: .file())
  var initial: String?

  @Option(help: "Stop with a checkpoint after this many updates of this call.")
  var stopAfterSteps: Int?

  @Flag(help: "Tell at the end where the time went, by part of the model and kind of kernel.")
  var profile = false

  func validate() throws {
    try cost.check(isDryRun: settings.dryRun)
    if let stopAfterSteps, stopAfterSteps < 1 {
      throw ValidationError("--stop-after-steps is \(stopAfterSteps); expected a number from 1")
    }
  }

  var endsOnSignals: Bool { settings.dryRun }
  var isSharedByRanks: Bool { true }

  var patience: Double? { settings.patience }

  func run(on cluster: Cluster) throws {
    let resolved = try settings.resolve(on: cluster, isTraining: true)
    let configuration = resolved.configuration
    var options = TrainingOptions(program: Program.path)
    switch resume {
    case "auto": options.resume = .automatic
    case "never": options.resume = .never
    default: options.resume = .file(resume)
    }
    options.initialWeights = initial
    options.stopAfterSteps = stopAfterSteps
    options.isProfiled = profile
    if settings.dryRun { return try foresee(resolved, options, on: cluster) }
    let log = RunLog(cluster, volume: volume.volume)
    volume.describe(resolved, log)
    let start = Date()
    try options.checkFiles(on: cluster)
    let experiment = try Experiment(
      configuration, cluster: cluster, training: true,
      resumed: try resumedProducts(configuration, options.resume, cluster: cluster))
    log.detail(String(format: "data set and encoder were read in %.1f s", Date().timeIntervalSince(start)))
    do {
      try train(experiment, options, log: log)
    } catch {
      log.keepLastWords(of: error, cluster)
      throw error
    }
  }

  /// `--dry-run`: the settings, what they cost, and what the run would be refused for.
  private func foresee(_ resolved: ResolvedSettings, _ options: TrainingOptions, on cluster: Cluster) throws {
    try cost.show(
      resolved, settings, of: .training, on: cluster,
      begin: {
        try checkRunFolder(resolved.configuration, on: cluster)
        try options.checkFiles(on: cluster)
      },
      check: { try checkStart($0, options, log: RunLog(cluster, volume: .quiet)) })
  }
}
