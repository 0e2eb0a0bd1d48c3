import Dataset
import Experiments
import Files
import Images
import Metrics
import Reporting

/// The most images whose overlays are drawn.
public let mostPictured = 24

/// The images whose overlays are drawn, of those that are evaluated.
func pictured(_ ids: [Int]) -> [Int] {
  stride(from: 0, to: ids.count, by: max(1, ids.count / mostPictured)).prefix(mostPictured).map { ids[$0] }
}

/// Draws `overlays/`, `overlays.png`, and the curves that are measured.
///
/// - Parameter title: the method's.
func draw(
  _ outcomes: [ImageOutcome], _ summary: EvaluationSummary, _ experiment: Experiment, title: String, to out: String
) throws {
  try makeFolder("\(out)/overlays")
  var sheet: [RGBImage] = []
  let shown = Set(pictured(outcomes.map(\.record.imageID)))
  let source = SampleSource(experiment, cache: nil)
  for outcome in outcomes where shown.contains(outcome.record.imageID) {
    guard outcome.record.isFinite, let image = experiment.dataset.image(outcome.record.imageID) else { continue }
    let view = try source.evaluationView(of: image)
    let truth = try GroundTruth(image, experiment, .masks(experiment.configuration.evaluation))
    let picture = overlay(view, map: outcome.map.values, side: outcome.side, mask: truth.mask)
    try writeAtomically(try encodePNG(picture), to: "\(out)/overlays/\(image.id).png")
    sheet += [view, picture]
  }
  if let sheet = contactSheet(sheet, columns: 8) {
    try writeAtomically(try encodePNG(sheet), to: "\(out)/overlays.png")
  }
  try drawCurves(summary, title: title, to: out)
}

private func drawCurves(_ summary: EvaluationSummary, title: String, to out: String) throws {
  let caption = [summary.settings["split"], "\(summary.counts.images) images", summary.settings["subset"]]
    .compactMap { $0 }.filter { !$0.isEmpty }.joined(separator: "; ")
  if let curve = summary.iouCurve {
    let chart = EvaluationCharts.iou([(title, curve)], caption: caption)
    try writeAtomically(try encodePNG(try chart.canvas().pixels()), to: "\(out)/iou_curve.png")
  }
  if let cascade = summary.cascade {
    let chart = EvaluationCharts.cascade([(title, cascade)], caption: cascade.subset)
    try writeAtomically(try encodePNG(try chart.canvas().pixels()), to: "\(out)/cascade.png")
  }
  if let insertion = summary.insertionCurve, let deletion = summary.deletionCurve {
    let chart = EvaluationCharts.perturbation([(title, insertion, deletion)], caption: caption)
    try writeAtomically(try encodePNG(try chart.canvas().pixels()), to: "\(out)/insertion_deletion.png")
  }
}
