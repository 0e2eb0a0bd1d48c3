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
      try makeFolder(out)
      var names = UniqueNames()
      var done: [(explanation: Explanation, name: String)] = []
      var failures: [Failure] = []
      for path in paths {
        do {
          let explanation = try explainer.explain(path)
          let name = names.next(path)
          try draw(explanation, name, explainer.classNames)
          done.append((explanation, name))
        } catch let failure as Failure where failure.code == .badData || failure.code == .missingInput {
          failures.append(failure)
        }
      }
      try writeExplanations(done, classNames: explainer.classNames, to: out)
      StandardOutput.note("\(done.count) image\(done.count == 1 ? "" : "s") explained; written to \(out)")
      if let first = failures.first {
        let named = failures.prefix(Self.mostNamed).map(\.message).joined(separator: "; ")
        let rest = failures.count > Self.mostNamed ? " (and \(failures.count - Self.mostNamed) more)" : ""
        throw Failure(first.code, named + rest)
      }
    }
  }

  private func draw(_ explanation: Explanation, _ name: String, _ classNames: [String]) throws {
    let map = explanation.mapAtSource()
    let values = map.compactMap { $0 }
    let level: Float
    if let share, let low = values.min(), let high = values.max() {
      level = low + share * (high - low)
    } else {
      level = meanStdThreshold(values)
    }
    let classes = explanation.likeliest(top).map {
      (name: classNames[$0], probability: Double(explanation.probabilities[$0]))
    }
    let figure = ExplanationFigure(
      image: explanation.image, map: map, threshold: level, title: (explanation.path as NSString).lastPathComponent,
      classes: classes)
    try writeAtomically(try encodePNG(try figure.picture()), to: "\(out)/\(name).png")
    try writeAtomically(try encodePNG(try figure.overlayPicture()), to: "\(out)/\(name).overlay.png")
    try writeAtomically(try encodePNG(figure.greyMap), to: "\(out)/\(name).map.png")
    StandardOutput.note(explanation.path)
    for entry in classes {
      StandardOutput.note(String(format: "  %6.2f%%  %@", 100 * entry.probability, entry.name))
    }
  }
}

/// Names for files made of others' names: the stem, with a number where it has been used.
private struct UniqueNames {
  private var used: Set<String> = []

  mutating func next(_ path: String) -> String {
    let stem = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
    var name = stem
    var number = 2
    while used.contains(name) {
      name = "\(stem)-\(number)"
      number += 1
    }
    used.insert(name)
    return name
  }
}
