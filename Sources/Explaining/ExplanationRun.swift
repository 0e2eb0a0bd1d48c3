import Experiments
import Failures
import Files
import Foundation
import Images
import Reporting
import Settings

/// What `ala explain` is asked for beside the settings.
public struct ExplanationRequest {
  /// Files, folders of them, or `.txt` lists.
  public let images: [String]
  public let checkpoint: String
  public let method: any ExplanationMethod
  /// Where the contour lies, as a share of the map's range; nil: at mean + standard deviation.
  public let threshold: Float?
  /// How many of the likeliest classes are named.
  public let top: Int
  /// The folder to write to.
  public let out: String
  /// `--overwrite`.
  public let isOverwriting: Bool

  public init(
    images: [String], checkpoint: String, method: any ExplanationMethod, threshold: Float?, top: Int, out: String,
    isOverwriting: Bool
  ) {
    self.images = images
    self.checkpoint = checkpoint
    self.method = method
    self.threshold = threshold
    self.top = top
    self.out = out
    self.isOverwriting = isOverwriting
  }
}

/// Unreadable images that the last message names.
private let mostNamed = 10

/// `ala explain`: shows where the model looked in each image, and what it took it for.
///
/// - Parameters:
///   - program: this program's file, which examines foreign HDF5 files.
///   - say: told of each image as it is done.
/// - Throws: `Failure` 65 or 66 naming the images that could not be read, once all others are done.
public func explain(
  _ configuration: Configuration, _ request: ExplanationRequest, program: String, say: (String) -> Void
) throws {
  let paths = try listImages(request.images)
  let explainer = try Explainer(
    configuration, checkpoint: request.checkpoint, method: request.method, program: program)
  let names = outputNames(paths)
  var folder = OutputFolder(request.out, isOverwriting: request.isOverwriting)
  try folder.claim(
    names.flatMap(files) + ["predictions.csv", "explanations.h5"],
    inputs: paths + [checkpointPath(request.checkpoint), configuration.encoder.weights])
  var done: [(explanation: Explanation, name: String)] = []
  var failures: [Failure] = []
  for (number, path) in paths.enumerated() {
    do {
      let explained = try explainer.explain(path, number: number)
      try draw(explained, names[number], explainer.classNames, request, say: say)
      done.append((explained.explanation, names[number]))
    } catch let failure as Failure where failure.code == .badData || failure.code == .missingInput {
      failures.append(failure)
    }
  }
  try writeExplanations(done, method: request.method, classNames: explainer.classNames, to: request.out)
  try folder.finish()
  say("\(done.count) image\(done.count == 1 ? "" : "s") explained; written to \(request.out)")
  guard let first = failures.first else { return }
  let named = failures.prefix(mostNamed).map(\.message).joined(separator: "; ")
  let rest = failures.count > mostNamed ? " (and \(failures.count - mostNamed) more)" : ""
  throw Failure(first.code, named + rest)
}

private func draw(
  _ explained: ExplainedImage, _ name: String, _ classNames: [String], _ request: ExplanationRequest,
  say: (String) -> Void
) throws {
  let (explanation, map) = (explained.explanation, explained.map)
  let level: Float
  if let share = request.threshold {
    let (low, high) = map.range
    level = low + share * (high - low)
  } else {
    level = map.meanStdThreshold
  }
  let classes = explanation.likeliest(request.top).map {
    (name: classNames[$0], probability: Double(explanation.probabilities[$0]))
  }
  let figure = ExplanationFigure(
    image: explained.image, map: map, threshold: level, title: (explanation.path as NSString).lastPathComponent,
    classes: classes)
  let paths = files(name).map { "\(request.out)/\($0)" }
  try writeAtomically(try encodePNG(try figure.picture()), to: paths[0])
  try figure.writeOverlay(to: paths[1])
  try figure.writeGreyMap(to: paths[2])
  say(explanation.path)
  for entry in classes { say(String(format: "  %6.2f%%  %@", 100 * entry.probability, entry.name)) }
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
