import Experiments
import ArgumentParser
import Cluster
import Files

struct ExportCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes a checkpoint's weights as safetensors for other tools.",
    discussion: """
      Examples:
        ala export --checkpoint runs/quickstart/run --out adapter.safetensors
        ala export --checkpoint runs/quickstart/run --out encoder.safetensors --merge-lora
      """)

  @OptionGroup var settings: SettingsOptions

  @Option(
    help: "A checkpoint, a run folder (its best), or (with --config) a file of weights alone.", completion: .file())
  var checkpoint: String

  @Option(help: "The safetensors file to write.", completion: .file())
  var out: String

  @Flag(
    name: .customLong("merge-lora"), help: "Write the encoder instead, in its own spelling, with LoRA's updates added.")
  var mergeLoRA = false

  @Flag(help: "Replace a file that this command has not made.")
  var overwrite = false

  var patience: Double? { settings.patience }

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let resolved = try settings.resolve(on: cluster, stored: stored)
    if settings.dryRun { return try settings.show(resolved, on: cluster) }
    let configuration = resolved.configuration
    try cluster.onRoot {
      try guardOutput(
        out,
        inputs: [configuration.encoder.weights, checkpointPath(checkpoint)] + (settings.config.map { [$0] } ?? []),
        isOverwriting: overwrite, isOwn: isExport)
    }
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    try loadWeights(experiment, checkpoint: checkpoint, program: Program.path)
    try cluster.onRoot {
      try makeFolder(of: out)
      try exportWeights(experiment, mergeLoRA: mergeLoRA, to: out)
      StandardOutput.note("written to \(out): \(mergeLoRA ? "the encoder with LoRA's updates" : "the trained weights")")
    }
  }
}
