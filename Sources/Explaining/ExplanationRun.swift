import Experiments
import Failures
import Files
import Foundation
import Images
import Metrics
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
  /// Whether files in the folder may be replaced that this command has not made.
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
  let names = OutputNames.names(paths)
  var folder = OutputFolder(request.out, of: "explain", isOverwriting: request.isOverwriting)
  let files = names.flatMap(OutputNames.files) + explanationFiles
  let inputs = paths + [checkpointPath(request.checkpoint), configuration.encoder.weights]
  try folder.check(files, inputs: inputs)
  var done: [(explanation: Explanation, name: String)] = []
  var failures: [Failure] = []
  var isClaimed = false
  for (number, (path, name)) in zip(paths, names).enumerated() {
    do {
      let explained = try explainer.explain(path, number: number)
      // Where no image can be read nothing is written.
      if !isClaimed { try folder.claim(files, inputs: inputs) }
      isClaimed = true
      try draw(explained, name, explainer.classNames, request, say: say)
      done.append((explained.explanation, name))
    } catch let failure as Failure where failure.code == .badData || failure.code == .missingInput {
      failures.append(failure)
    }
  }
  if isClaimed {
    try writeExplanations(done, method: request.method, classNames: explainer.classNames, to: request.out)
    try folder.finish()
    if let remark = orientationRemark(done.map(\.explanation.path)) { say(remark) }
    let shown = explainer.classNames + done.map { ($0.explanation.path as NSString).lastPathComponent }
    if let remark = signRemark(shown) { say(remark) }
    say("\(done.count) image\(done.count == 1 ? "" : "s") explained; written to \(request.out)")
  }
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
  let stem = "\(request.out)/\(name)"
  try writeAtomically(try encodePNG(try figure.picture()), to: stem + OutputNames.figure)
  try figure.writeOverlay(to: stem + OutputNames.overlay)
  try figure.writeGreyMap(to: stem + OutputNames.map)
  say(explanation.path)
  for entry in classes { say(String(format: "  %6.2f%%  %@", 100 * entry.probability, entry.name)) }
}

/// Names for files made of others' names: the stem, with a number where one of its files is another image's already, by
/// whatever name that came about (`x.jpg` and `x.map.jpg`).
private enum OutputNames {
  static let figure = ".png"
  static let overlay = ".overlay.png"
  static let map = ".map.png"

  static func names(_ paths: [String]) -> [String] {
    var used: Set<String> = []
    return paths.map { path in
      let stem = ((path as NSString).lastPathComponent as NSString).deletingPathExtension
      var name = stem
      var number = 2
      while !used.isDisjoint(with: files(name)) {
        name = "\(stem)-\(number)"
        number += 1
      }
      used.formUnion(files(name))
      return name
    }
  }

  /// What is written of an image.
  static func files(_ name: String) -> [String] { [figure, overlay, map].map { name + $0 } }
}

/// What to say once of names that a figure cannot show.
private func signRemark(_ names: [String]) -> String? {
  guard let missing = try? Canvas.charactersWithoutSign(in: names), !missing.isEmpty else { return nil }
  let named = missing.prefix(mostNamed).map(String.init).joined(separator: " ")
  let more = missing.count > mostNamed ? " and others" : ""
  return
    "figures show boxes in place of \(named)\(more): no font here has them; install one that has, such as those of "
    + "Debian's fonts-noto-cjk"
}

/// What to say once of images whose orientation is ignored.
private func orientationRemark(_ paths: [String]) -> String? {
  let turned = paths.filter { path in (try? ImageLook(path: path).orientation).map { $0 != 1 } ?? false }
  guard let first = turned.first else { return nil }
  return ImageLook.orientationRemark(turned.count, of: paths.count, first: first)
}
