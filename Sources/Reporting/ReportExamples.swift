import Metrics
import Failures
import Foundation
import Images
import Randomness

/// Example images of a report: of each class the best, the worst and a random one, with every method's map.
struct ReportExamples {
  struct Picture {
    let label: String
    /// A JPEG as a data URI.
    let source: String
  }

  struct Example {
    let kind: String
    let caption: String
    let pictures: [Picture]
  }

  struct ClassExamples {
    let name: String
    let examples: [Example]
  }

  let classes: [ClassExamples]
  /// What was left out, for the reader.
  let note: String

  private static let mostClasses = 12
  private static let shownSide = 168

  /// - Parameter methods: evaluations under the names they go by; the first one chooses the images.
  init(_ methods: [(name: String, folder: EvaluationFolder)]) throws {
    guard let first = methods.first?.folder, !first.rows.isEmpty else {
      (classes, note) = ([], "There is no evaluation to take examples from.")
      return
    }
    guard let images = try? EvaluatedImages(of: first.summary) else {
      let root = first.summary.settings["data_root"] ?? ""
      (classes, note) = ([], "Examples are left out: the data set (\(root)) cannot be read from here.")
      return
    }
    let (key, keyName) = Self.ranking(first)
    let present = first.summary.classes.filter { one in first.rows.contains { $0["label"] == "\(one.id)" } }
    let shown = Self.spread(present, Self.mostClasses)
    var result: [ClassExamples] = []
    for one in shown {
      let ranked = first.rows.filter { $0["label"] == "\(one.id)" }
        .compactMap { row in row[key].flatMap(Double.init).map { (row, $0) } }
        .sorted { ($0.1, $0.0["image_id"] ?? "") > ($1.1, $1.0["image_id"] ?? "") }
      guard let best = ranked.first, let worst = ranked.last else { continue }
      var stream = RandomStream(seed: 0, name: "report.examples", index: UInt64(bitPattern: Int64(one.id)))
      let chosen = [("best", best), ("worst", worst), ("random", ranked[stream.integer(below: ranked.count)])]
      result.append(
        ClassExamples(
          name: one.name,
          examples: try chosen.prefix(ranked.count == 1 ? 1 : 3).compactMap { kind, entry in
            try Self.example(kind, entry.0, value: entry.1, keyName, methods, images)
          }))
    }
    classes = result
    note =
      "Ranked by \(keyName)\(methods.count > 1 ? " of \(methods[0].name)" : "")"
      + (present.count > shown.count ? "; \(shown.count) of \(present.count) classes are shown, evenly spread." : ".")
  }

  /// The column that examples are ranked by: IoU by the primary rule, or else ID, or else the probability.
  private static func ranking(_ folder: EvaluationFolder) -> (key: String, name: String) {
    let rule = folder.summary.settings["iou_rule"] ?? "mean_std"
    for (key, name) in [("iou_\(rule)", "IoU (\(rule))"), ("id", "ID")]
    where folder.rows.contains(where: { $0[key]?.isEmpty == false }) {
      return (key, name)
    }
    return ("probability", "probability of the true class")
  }

  private static func spread<Element>(_ all: [Element], _ count: Int) -> [Element] {
    all.count <= count ? all : (0..<count).map { all[$0 * all.count / count] }
  }

  private static func example(
    _ kind: String, _ row: EvaluationFolder.Row, value: Double, _ keyName: String,
    _ methods: [(name: String, folder: EvaluationFolder)], _ images: EvaluatedImages
  ) throws -> Example? {
    guard let id = row["image_id"].flatMap(Int.init), let summary = methods.first?.folder.summary,
      let (view, mask) = images.view(id)
    else { return nil }
    var pictures = [Picture(label: "image \(id)", source: try dataURI(view))]
    for (name, folder) in methods {
      guard let map = folder.maps[id], map.allSatisfy(\.isFinite) else { continue }
      let picture = overlay(view, map: map, side: folder.mapSide, mask: mask)
      pictures.append(Picture(label: name, source: try dataURI(picture)))
    }
    let predicted = summary.classes.first { "\($0.id)" == row["predicted"] }?.name ?? row["predicted"] ?? ""
    let probability =
      row["probability"].flatMap(Double.init).map { String(format: ", true class %.0f%%", 100 * $0) } ?? ""
    return Example(
      kind: kind,
      caption: String(format: "%@ %.3f; ", keyName, value)
        + (row["predicted"] == row["label"] ? "right" : "taken for \(predicted)") + probability, pictures: pictures)
  }

  private static func dataURI(_ image: RGBImage) throws -> String {
    let small = image.width > shownSide ? resizeBicubic(image, width: shownSide, height: shownSide) : image
    return "data:image/jpeg;base64," + Data(try encodeJPEG(small)).base64EncodedString()
  }
}
