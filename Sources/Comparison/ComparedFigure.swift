import Metrics
import Reporting

/// A figure of the table: a figure of evaluations, where mean IoU is by the table's primary rule.
struct ComparedFigure {
  let key: String
  let figure: Figure

  /// The key of the mean IoU by the primary rule.
  static let meanIoU = "mean_iou"

  /// All figures, the primary mean IoU before those by single rules.
  static func all(rule: String) -> [ComparedFigure] {
    let primary = IoURule.key(rule)
    return FigureTable.figures.flatMap { figure in
      let own = ComparedFigure(key: figure.key, figure: figure)
      let isFirst = figure.key == IoURule.key(IoURule.half.rawValue)
      guard isFirst, let main = FigureTable.figure(primary) else { return [own] }
      return [ComparedFigure(key: meanIoU, figure: main), own]
    }
  }

  /// As tables head it.
  var title: String { key == Self.meanIoU ? "mean IoU" : figure.title }

  var titleWithArrow: String { key == Self.meanIoU ? "mean IoU \u{2191}" : figure.titleWithArrow }

  /// An evaluation's value.
  func value(_ evaluation: EvaluationFolder) -> Double? { evaluation.summary[figure.key] }

  /// The images' own values in an evaluation, by image id; nil for a figure that is no mean of them.
  func perImage(_ evaluation: EvaluationFolder) -> [Int: Double]? {
    guard figure.isMeanOfImages else { return nil }
    var result: [Int: Double] = [:]
    for row in evaluation.rows {
      guard let id = row["image_id"].flatMap({ Int($0) }), let value = value(row) else { continue }
      result[id] = value
    }
    return result
  }

  private func value(_ row: EvaluationFolder.Row) -> Double? {
    // An image whose prediction is not finite has none, and is wrong.
    if figure.key == "accuracy" { return row["predicted"] == row["label"] ? 1 : 0 }
    return figure.column.flatMap { row[$0] }.flatMap { Double($0) }.flatMap { $0.isFinite ? $0 : nil }
  }
}
