import ArgumentParser
import Cluster
import Foundation
import Estimation
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
    discussion: """
      Examples:
        mpirun -np 2 ala evaluate --checkpoint runs/quickstart/run --out runs/quickstart/test
        ala evaluate --checkpoint runs/quickstart/run --out runs/quickstart/gradcam --method gradcam --limit 20
        ala evaluate --checkpoint runs/quickstart/run --out runs/quickstart/test --quiet --json
      """)

  @OptionGroup var settings: SettingsOptions
  @OptionGroup var cost: CostOptions
  @OptionGroup var volume: VolumeOptions

  @Option(
    help: "A checkpoint, a run folder (its best), or (with --config) a file of weights alone.", completion: .file())
  var checkpoint: String

  @Option(help: "train, valid or test.", completion: .list(["train", "valid", "test"]))
  var split = "test"

  @Option(
    help: "The explanation method: \(MethodTable.names); by default the network's own (docs/methods.md).",
    completion: .methods)
  var method: String?

  @Option(help: "The folder to write to. An interrupted evaluation goes on there.", completion: .directory)
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

  @Flag(help: "Print summary.json in place of the lines for people.")
  var json = false

  @Flag(help: "Replace files in the folder that this command has not made.")
  var overwrite = false

  func validate() throws {
    try cost.check(isDryRun: settings.dryRun)
    try settings.check(json: json)
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
  var isSharedByRanks: Bool { true }

  var patience: Double? { settings.patience }

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let resolved = try settings.resolve(on: cluster, stored: stored)
    let configuration = resolved.configuration
    let explaining =
      try method.map(MethodTable.method) ?? MethodTable.ownMethod(ofNetwork: configuration.model.kind)
    try cluster.onRoot { try refuseRunFolder(out, instead: split) }
    if settings.dryRun {
      if cluster.isRoot, !FileManager.default.fileExists(atPath: checkpointPath(checkpoint)) {
        StandardError.note("ala: warning: \(checkpoint): there is no such checkpoint yet (--checkpoint)")
      }
      let work = EvaluatedWork(split: split, method: explaining, limit: limit, out: out)
      return try cost.show(
        resolved, settings, of: .evaluation(work), on: cluster, check: { _ = try images(ofSplit: split, $0) })
    }
    let log = RunLog(cluster, volume: volume.volume)
    volume.describe(resolved, log)
    let start = Date()
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    log.detail(String(format: "data set and encoder were read in %.1f s", Date().timeIntervalSince(start)))
    try loadWeights(experiment, checkpoint: checkpoint, program: Program.path)
    let request = EvaluationRequest(
      split: split, method: explaining,
      limit: limit, limitSeed: seed, cascade: cascade, out: out,
      isOverwriting: overwrite, inputs: [checkpointPath(checkpoint), configuration.encoder.weights])
    let summary = try evaluate(experiment, request, log: log)
    try cluster.onRoot {
      if json { return try StandardOutput.print(readText("\(out)/summary.json", most: .max)) }
      let next = "written to \(out); next: ala report \(shellWord(out)) --out \(shellWord("\(out).html"))"
      volume.note((summary.terminalLines + [next]).joined(separator: "\n"))
    }
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
