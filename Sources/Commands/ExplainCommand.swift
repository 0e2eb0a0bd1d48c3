import Explaining
import Experiments
import ArgumentParser
import Cluster
import Metrics
import Failures
import Files
import Foundation
import Images
import Reporting

struct ExplainCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Shows where the model looked in any image, and what it took it for.",
    discussion: "Example: ala explain photo.jpg --checkpoint runs/quickstart/run --out explained")

  @OptionGroup var settings: SettingsOptions

  @Argument(help: "JPEG or PNG files, folders of them, or .txt lists with a path a line.")
  var images: [String]

  @Option(help: "A checkpoint, a run folder (its best), or (with --config) a file of weights alone.")
  var checkpoint: String

  @Option(help: "The folder to write to.")
  var out: String

  @Option(
    help: ArgumentHelp(
      "Where the contour lies: mean_std, or a share of the map's range from 0 to 1.", valueName: "mean_std|SHARE"))
  var threshold = "mean_std"

  @Option(help: "How many of the likeliest classes to name.")
  var top = 5

  @Flag(help: "Replace files in the folder that this command has not made.")
  var overwrite = false

  func validate() throws {
    guard threshold == "mean_std" || share != nil else {
      throw ValidationError("--threshold \(threshold): expected mean_std or a number from 0 to 1")
    }
    guard top > 0 else { throw ValidationError("--top is \(top); expected a number from 1") }
  }

  /// Unreadable images that the last message names.
  private static let mostNamed = 10

  private var share: Float? { Float(threshold).flatMap { (0...1).contains($0) ? $0 : nil } }

  func run(on cluster: Cluster) throws {
    let stored = settings.config == nil ? try cluster.agree { try storedSettings(checkpoint) } : nil
    let configuration = try settings.load(on: cluster, stored: stored)
    if settings.dryRun { return try settings.show(configuration, on: cluster) }
    try cluster.onRoot {
      let paths = try listImages(images)
      let explainer = try Explainer(configuration, checkpoint: checkpoint, program: Program.path)
      let names = outputNames(paths)
      var folder = OutputFolder(out, isOverwriting: overwrite)
      try folder.claim(
        names.flatMap(files) + ["predictions.csv", "explanations.h5"],
        inputs: paths + [checkpointPath(checkpoint), configuration.encoder.weights])
      var done: [(explanation: Explanation, name: String)] = []
      var failures: [Failure] = []
      for (path, name) in zip(paths, names) {
        do {
          let explained = try explainer.explain(path)
          try draw(explained, name, explainer.classNames)
          done.append((explained.explanation, name))
        } catch let failure as Failure where failure.code == .badData || failure.code == .missingInput {
          failures.append(failure)
        }
      }
      try writeExplanations(done, classNames: explainer.classNames, to: out)
      try folder.finish()
      StandardOutput.note("\(done.count) image\(done.count == 1 ? "" : "s") explained; written to \(out)")
      if let first = failures.first {
        let named = failures.prefix(Self.mostNamed).map(\.message).joined(separator: "; ")
        let rest = failures.count > Self.mostNamed ? " (and \(failures.count - Self.mostNamed) more)" : ""
        throw Failure(first.code, named + rest)
      }
    }
  }

  private func draw(_ explained: ExplainedImage, _ name: String, _ classNames: [String]) throws {
    let (explanation, map) = (explained.explanation, explained.map)
    let level: Float
    if let share {
      let (low, high) = map.range
      level = low + share * (high - low)
    } else {
      level = map.meanStdThreshold
    }
    let classes = explanation.likeliest(top).map {
      (name: classNames[$0], probability: Double(explanation.probabilities[$0]))
    }
    let figure = ExplanationFigure(
      image: explained.image, map: map, threshold: level, title: (explanation.path as NSString).lastPathComponent,
      classes: classes)
    let paths = files(name).map { "\(out)/\($0)" }
    try writeAtomically(try encodePNG(try figure.picture()), to: paths[0])
    try figure.writeOverlay(to: paths[1])
    try figure.writeGreyMap(to: paths[2])
    StandardOutput.note(explanation.path)
    for entry in classes {
      StandardOutput.note(String(format: "  %6.2f%%  %@", 100 * entry.probability, entry.name))
    }
  }
}

/// What is written of an image: the figure, the overlay and the map.
private func files(_ name: String) -> [String] { ["\(name).png", "\(name).overlay.png", "\(name).map.png"] }

/// Names for the outputs of each image: its file's stem, with a number behind where files of that name are another's.
private func outputNames(_ paths: [String]) -> [String] {
  var used: Set<String> = []
  return paths.map { path in
    let stem = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
    var name = stem
    var number = 2
    while files(name).contains(where: used.contains) {
      name = "\(stem)-\(number)"
      number += 1
    }
    used.formUnion(files(name))
    return name
  }
}
