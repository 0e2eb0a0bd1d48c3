import Experiments
import ArgumentParser
import Cluster

struct ExportCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes a checkpoint's weights as safetensors for other tools.",
    discussion: "Example: ala export --checkpoint runs/quickstart/run --out adapter.safetensors")

  @OptionGroup var settings: SettingsOptions

  @Option(help: "A checkpoint, a run folder (its best), or (with --config) a file of weights alone.")
  var checkpoint: String

  @Option(help: "The safetensors file to write.")
  var out: String

  @Flag(
    name: .customLong("merge-lora"), help: "Write the encoder instead, in its own spelling, with LoRA's updates added.")
  var mergeLoRA = false

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let configuration = try settings.load(on: cluster, stored: stored)
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    try loadWeights(experiment, checkpoint: checkpoint, program: Program.path)
    try cluster.onRoot { try exportWeights(experiment, mergeLoRA: mergeLoRA, to: out) }
  }
}
