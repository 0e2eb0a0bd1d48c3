import Cluster
import Experiments
import Failures
import Files
import Settings
import Storage

/// What can be told of a run before it begins, in `--dry-run` too: nothing here is written.

extension TrainingOptions {
  /// Refuses files that the command line names and that are not there, or are no weights.
  ///
  /// - Throws: `Failure` 66 or 65; the same on every rank.
  public func checkFiles(on cluster: Cluster) throws {
    try cluster.onRoot {
      if case .file(let path) = resume, try Checkpoint.attributesIfOurs(path) == nil {
        throw Failure.badData("\(path): is not a checkpoint of ala, or its beginning is damaged (--resume)")
      }
      if let initialWeights { _ = try storedAttributes(initialWeights) }
    }
  }
}

/// Refuses a folder that no run of these settings could begin or go on in.
///
/// - Throws: `Failure` 73; the same on every rank.
public func checkRunFolder(_ configuration: Configuration, on cluster: Cluster) throws {
  try cluster.onRoot {
    try refuseStrangers(in: configuration)
    try checkFolder("\(configuration.run.dir)/checkpoints")
  }
}

/// Begins as a run would, from the checkpoint or the weights that it would begin with, and leaves all files alone. Call on
/// every rank.
///
/// - Throws: what `train` would throw before its first step.
public func checkStart(_ experiment: Experiment, _ options: TrainingOptions, log: RunLog) throws {
  let configuration = experiment.configuration
  let own = CheckpointFolder(path: "\(configuration.run.dir)/checkpoints", keep: configuration.checkpoint.keep)
  let goesOn =
    switch options.resume {
    case .never: false
    case .file: true
    case .automatic: try experiment.cluster.fromRoot { [try own.steps().isEmpty ? 0 : 1] } == [1]
    }
  guard goesOn || options.initialWeights != nil else { return }
  guard goesOn else { return try experiment.cluster.onRoot { try startAfresh(experiment, options, log: log) } }
  let cache = try openCache(experiment, log: log)
  _ = try begin(experiment, options, own, mode: SampleSource(experiment, cache: cache).mode, log: log)
}
