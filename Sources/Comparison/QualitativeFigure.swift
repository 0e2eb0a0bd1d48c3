import Failures
import Images
import Metrics
import Randomness
import Reporting

/// The figure of some images' maps by every row: image by row, with the class and its probability by the model that the
/// map explains.
struct QualitativeFigure {
  /// Which images are shown, for the reader.
  let rule: String
  private let columns: [(title: String, evaluation: EvaluationFolder)]
  private let images: [Shown]

  private struct Shown {
    let id: Int
    let className: String
    let view: RGBImage
    let mask: [Bool]?
  }

  /// The most classes of which an image is shown.
  static let mostImages = 6
  private static let panel = 112.0
  /// A panel's side in the picture.
  static var panelPixels: Int { 2 * Int(panel) }
  private static let gap = 8.0
  private static let left = 12.0
  private static let top = 30.0
  private static let footRows = 30.0
  private static let stream = "table.figure"

  /// - Returns: nil where there is nothing to draw: no evaluation, or a data set that cannot be read from here.
  init?(_ plan: TablePlan, _ results: TableResults) {
    columns = zip(results.rows, results.evaluations).compactMap { row, evaluations in
      evaluations.first.map { (row.row.title, $0) }
    }
    guard let first = columns.first?.evaluation, let source = try? EvaluatedImages(of: first.summary) else {
      return nil
    }
    let seed = plan.base.data.splitSeed
    let ids = Dictionary(grouping: first.rows) { $0["label"] ?? "" }.mapValues { rows in
      rows.compactMap { $0["image_id"].flatMap { Int($0) } }.sorted()
    }
    let classes = first.summary.classes.filter { ids["\($0.id)"] != nil }
    let count = min(Self.mostImages, classes.count)
    let shown = (0..<count).map { classes[$0 * classes.count / count] }
    images = shown.compactMap { one in
      guard let own = ids["\(one.id)"] else { return nil }
      var stream = RandomStream(seed: seed, name: Self.stream, index: UInt64(bitPattern: Int64(one.id)))
      let id = own[stream.permutation(own.count)[0]]
      return source.view(id).map { Shown(id: id, className: one.name, view: $0.image, mask: $0.mask) }
    }
    guard !images.isEmpty else { return nil }
    rule =
      "One image each of \(shown.count) of \(classes.count) classes, evenly spread, drawn at random from those that are "
      + "evaluated (data.split_seed \(seed)); maps of seed \(plan.seeds[0]) (of the next where it has failed). White: the "
      + "annotated mask. Below each map the probability of the true class by the model that the map explains, and what "
      + "else it took the image for."
  }

  func picture() throws -> RGBImage {
    let step = Self.panel + Self.gap
    let rowHeight = Self.panel + Self.footRows
    let canvas = try Canvas(
      width: Self.left * 2 + step * Double(columns.count + 1) - Self.gap,
      height: Self.top + Double(images.count) * rowHeight + 6)
    for (index, column) in columns.enumerated() {
      text(column.title, canvas, x: Self.left + step * Double(index + 1), y: 20, isBold: true)
    }
    for (row, image) in images.enumerated() {
      let y = Self.top + Double(row) * rowHeight
      canvas.image(image.view, x: Self.left, y: y, width: Self.panel, height: Self.panel)
      text(image.className, canvas, x: Self.left, y: y + Self.panel + 13)
      text("image \(image.id)", canvas, x: Self.left, y: y + Self.panel + 25, .grey)
      for (index, column) in columns.enumerated() {
        draw(image, column.evaluation, canvas, x: Self.left + step * Double(index + 1), y: y)
      }
    }
    return try canvas.pixels()
  }

  private func draw(_ image: Shown, _ evaluation: EvaluationFolder, _ canvas: Canvas, x: Double, y: Double) {
    if let map = evaluation.maps[image.id], map.allSatisfy(\.isFinite) {
      let picture = overlay(image.view, map: map, side: evaluation.mapSide, mask: image.mask)
      canvas.image(picture, x: x, y: y, width: Self.panel, height: Self.panel)
    }
    guard let row = evaluation.rows.first(where: { $0["image_id"] == "\(image.id)" }) else { return }
    let probability = row["probability"].flatMap { Double($0) }
    text(probability.map { "p \(Self.share($0))" } ?? "p not finite", canvas, x: x, y: y + Self.panel + 13)
    guard let predicted = row["predicted"], predicted != row["label"] else { return }
    let name = evaluation.summary.classes.first { "\($0.id)" == predicted }?.name ?? predicted
    text("taken for \(name)", canvas, x: x, y: y + Self.panel + 25, .grey)
  }

  private static func share(_ value: Double) -> String {
    guard (0...1).contains(value) else { return "\(value)" }
    let hundredths = Int((value * 100).rounded())
    return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
  }

  /// A line of a panel's width, cut where it is longer.
  private func text(
    _ text: String, _ canvas: Canvas, x: Double, y: Double, _ colour: Colour = .black, isBold: Bool = false
  ) {
    let size = 10.0
    var shown = text
    while canvas.textWidth(shown, size: size, isBold: isBold) > Self.panel, shown.count > 2 {
      shown = String(shown.dropLast(shown.hasSuffix("…") ? 2 : 1)) + "…"
    }
    canvas.text(shown, at: Point(x, y), size: size, colour, isBold: isBold)
  }
}
