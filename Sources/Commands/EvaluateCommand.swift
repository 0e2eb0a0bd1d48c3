import Evaluation
import Experiments
import ArgumentParser
import Cluster
import Metrics
import Failures
import Files
import Foundation
import Images
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

  @Option(help: "The explanation method.")
  var method = "ala"

  @Option(help: "The folder to write to. An interrupted evaluation goes on there.")
  var out: String

  @Option(help: "Evaluate a fixed random subset of so many images.")
  var limit: Int?

  @Option(help: "The seed of --limit.")
  var seed: UInt64 = 0

  /// Images whose overlays are drawn.
  private static let pictures = 24

  func validate() throws {
    guard method == "ala" else { throw ValidationError("--method \(method): only ala is available") }
    guard ["train", "valid", "test"].contains(split) else {
      throw ValidationError("--split \(split): expected train, valid or test")
    }
    if let limit, limit < 1 { throw ValidationError("--limit is \(limit); expected a number from 1") }
  }

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let configuration = try settings.load(on: cluster, stored: stored)
    if settings.dryRun { return try settings.show(configuration, on: cluster) }
    let log = RunLog(cluster)
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    try loadWeights(experiment, checkpoint: checkpoint, program: Program.path)
    let request = EvaluationRequest(split: split, method: method, limit: limit, limitSeed: seed, out: out)
    let report = try evaluate(experiment, request, log: log)
    try cluster.onRoot {
      try draw(report, experiment)
      try drawCurves(report.summary)
      show(report.summary)
    }
  }

  private func draw(_ report: EvaluationReport, _ experiment: Experiment) throws {
    try makeFolder("\(out)/overlays")
    var sheet: [RGBImage] = []
    let step = max(1, report.outcomes.count / Self.pictures)
    let side = experiment.configuration.image.size
    let source = SampleSource(experiment, cache: nil)
    for index in stride(from: 0, to: report.outcomes.count, by: step).prefix(Self.pictures) {
      let outcome = report.outcomes[index]
      guard outcome.record.isFinite, let image = experiment.dataset.image(outcome.record.imageID) else { continue }
      let view = RGBImage(
        width: side, height: side, pixels: try source.render(image, view: ViewDefinition.evaluationView))
      let map = normalised(upsampleBilinear(outcome.map, grid: experiment.model.encoder.grid, to: side))
      let truth = try GroundTruth(image, experiment, .masks(experiment.configuration.evaluation))
      let picture = overlay(view, map: map, mask: truth.mask)
      try writeAtomically(try encodePNG(picture), to: "\(out)/overlays/\(image.id).png")
      sheet += [view, picture]
    }
    if let sheet = contactSheet(sheet, columns: 8) {
      try writeAtomically(try encodePNG(sheet), to: "\(out)/overlays.png")
    }
  }

  /// IoU over thresholds, and insertion and deletion, where they are measured.
  private func drawCurves(_ summary: EvaluationSummary) throws {
    let caption = [summary.settings["split"], "\(summary.counts.images) images", summary.settings["subset"]]
      .compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; ")
    if let curve = summary.iouCurve {
      let chart = EvaluationCharts.iou([("ALA", curve)], caption: caption)
      try writeAtomically(try encodePNG(try chart.canvas().pixels()), to: "\(out)/iou_curve.png")
    }
    if let insertion = summary.insertionCurve, let deletion = summary.deletionCurve {
      let chart = EvaluationCharts.perturbation([("ALA", insertion, deletion)], caption: caption)
      try writeAtomically(try encodePNG(try chart.canvas().pixels()), to: "\(out)/insertion_deletion.png")
    }
  }

  private func show(_ summary: EvaluationSummary) {
    func line(_ name: String, _ value: Double?) {
      guard let value else { return }
      StandardOutput.note(String(format: "%@ %.4f", name.padding(toLength: 34, withPad: " ", startingAt: 0), value))
    }
    let subset = summary.settings["subset"] ?? ""
    StandardOutput.note(
      "\(summary.counts.images) images\(subset.isEmpty ? "" : " (\(subset))"), \(summary.counts.withMask) with a mask, "
        + "\(summary.counts.withBox) with a box")
    line("accuracy", summary.accuracy)
    for rule in IoURule.allCases { line("mean IoU (\(rule.rawValue))", summary.meanIoU[rule.rawValue]) }
    for (control, name) in [
      ("centred_gaussian", "a centred Gaussian"), ("random", "random maps"), ("randomised_model", "before training"),
    ] {
      line("  \(name) (half)", summary.controls[control]?["half"])
      line("  \(name) (mean_std)", summary.controls[control]?["mean_std"])
    }
    line("MaxBoxAcc", summary.maxBoxAcc)
    line("MaxBoxAccV2", summary.maxBoxAccV2)
    line("PxAP", summary.pxap)
    line("pointing", summary.pointing)
    line("insertion", summary.insertion)
    line("deletion", summary.deletion)
    line("ID", summary.id)
    StandardOutput.note("written to \(out)")
  }
}
