import ArgumentParser
import Cluster
import Evaluation
import Experiments
import Explaining
import Failures
import Files
import Reporting

struct EvaluateCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate",
    abstract: "Accuracy, IoU with masks, localisation by boxes, insertion, deletion, and the map of each image.",
    discussion:
      "Example: mpirun -np 2 ala evaluate --config configs/quickstart.yaml --checkpoint runs/quickstart/run --out runs/quickstart/test"
  )

  @OptionGroup var settings: SettingsOptions

  @Option(help: "A checkpoint, a run folder (its best), or (with --config) a file of weights alone.")
  var checkpoint: String

  @Option(help: "train, valid or test.")
  var split = "test"

  @Option(help: "The explanation method: \(MethodTable.names); by default the network's own (docs/methods.md).")
  var method: String?

  @Option(help: "The folder to write to. An interrupted evaluation goes on there.")
  var out: String

  @Option(help: "Evaluate a fixed random subset of so many images.")
  var limit: Int?

  @Option(help: "The seed of --limit.")
  var seed: UInt64 = 0

  @Option(
    help: ArgumentHelp(
      "The cascade of parameter randomisation of so many images: how like the trained model's maps stay while its parts lose their training, from the top.",
      valueName: "images"))
  var cascade: Int?

  @Flag(help: "Replace files in the folder that this command has not made.")
  var overwrite = false

  func validate() throws {
    if let method { try checkMethod(method) }
    guard ["train", "valid", "test"].contains(split) else {
      throw ValidationError("--split \(split): expected train, valid or test")
    }
    if let limit, limit < 1 { throw ValidationError("--limit is \(limit); expected a number from 1") }
    guard let cascade else { return }
    if cascade < 1 { throw ValidationError("--cascade is \(cascade); expected a number of images from 1") }
    if let method, let own = try? MethodTable.method(method), !own.facts.readsModel {
      throw ValidationError(
        "--cascade: method \(method) does not read the trained model, which the cascade takes apart")
    }
  }

  var endsOnSignals: Bool { settings.dryRun }

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let configuration = try settings.load(on: cluster, stored: stored)
    if settings.dryRun { return try settings.show(configuration, on: cluster) }
    let log = RunLog(cluster)
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    try loadWeights(experiment, checkpoint: checkpoint, program: Program.path)
    let request = EvaluationRequest(
      split: split,
      method: try method.map(MethodTable.method) ?? MethodTable.ownMethod(ofNetwork: configuration.model.kind),
      limit: limit, limitSeed: seed, cascade: cascade, out: out,
      isOverwriting: overwrite, inputs: [checkpointPath(checkpoint), configuration.encoder.weights])
    let summary = try evaluate(experiment, request, log: log)
    guard cluster.isRoot else { return }
    for line in summary.terminalLines { StandardOutput.note(line) }
    StandardOutput.note("written to \(out)")
  }
}

/// - Throws: `ValidationError` for a name that `--method` does not know.
func checkMethod(_ name: String) throws {
  do {
    _ = try MethodTable.method(name)
  } catch let failure as Failure {
    throw ValidationError(failure.message)
  }
}
