import ArgumentParser
import Cluster
import Experiments
import Explaining
import Files
import Foundation

struct ExplainCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Shows where the model looked in any image, and what it took it for.",
    discussion: """
      Examples:
        ala explain photo.jpg --checkpoint runs/quickstart/run --out explained
        ala explain photos --checkpoint runs/quickstart/run --out explained --method gradcam
      """)

  @OptionGroup var settings: SettingsOptions

  @Argument(help: "JPEG or PNG files, folders of them, or .txt lists with a path a line.", completion: .file())
  var images: [String]

  @Option(
    help: "A checkpoint, a run folder (its best), or (with --config) a file of weights alone.", completion: .file())
  var checkpoint: String

  @Option(help: "The folder to write to.", completion: .directory)
  var out: String

  @Option(
    help: "The explanation method: \(MethodTable.names); by default the network's own (docs/methods.md).",
    completion: .methods)
  var method: String?

  @Option(
    help: ArgumentHelp(
      "Where the contour lies: mean_std, or a share of the map's range from 0 to 1.", valueName: "mean_std|SHARE"),
    completion: .list(["mean_std"]))
  var threshold = "mean_std"

  @Option(help: "How many of the likeliest classes to name.")
  var top = 5

  @Flag(help: "Replace files in the folder that this command has not made.")
  var overwrite = false

  func validate() throws {
    guard threshold == "mean_std" || share != nil else {
      throw ValidationError("--threshold \(threshold): expected mean_std or a number from 0 to 1")
    }
    if let method { try checkMethod(method) }
    guard top > 0 else { throw ValidationError("--top is \(top); expected a number from 1") }
  }

  private var share: Float? { Float(threshold).flatMap { (0...1).contains($0) ? $0 : nil } }

  var patience: Double? { settings.patience }

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let resolved = try settings.resolve(on: cluster, stored: stored)
    if settings.dryRun { return try settings.show(resolved, on: cluster) }
    let configuration = resolved.configuration
    let request = ExplanationRequest(
      images: images, checkpoint: checkpoint,
      method: try method.map(MethodTable.method) ?? MethodTable.ownMethod(ofNetwork: configuration.model.kind),
      threshold: share, top: top,
      out: out, isOverwriting: overwrite)
    try cluster.onRoot { try explain(configuration, request, program: Program.path) { StandardOutput.note($0) } }
  }
}
