import Foundation
import Metrics
import Settings

/// The words and numbers of a table that its files share.
struct TableText {
  let plan: TablePlan
  let results: TableResults

  // MARK: Numbers

  private func decimals(_ figure: ComparedFigure) -> Int { figure.figure.style == .percent ? 1 : 3 }

  private func number(_ value: Double, _ figure: ComparedFigure) -> String {
    let isPercent = figure.figure.style == .percent
    let text = String(format: "%.*f", decimals(figure), isPercent ? 100 * value : value)
    guard text.hasPrefix("-") else { return text }
    return text.contains { ("1"..."9").contains($0) } ? "\u{2212}\(text.dropFirst())" : String(text.dropFirst())
  }

  /// "0.693 ± 0.007"; the mean alone of one seed, nothing where there is none.
  func text(_ cell: TableResults.Cell?, _ figure: ComparedFigure, plusMinus: String = "±") -> String {
    guard let cell else { return "" }
    return number(cell.mean, figure) + (cell.sd.map { " \(plusMinus) \(number($0, figure))" } ?? "")
  }

  func published(_ row: TableResults.Row, _ figure: ComparedFigure, plusMinus: String = "±") -> String {
    guard let value = PublishedTable.rows[row.row.name]?[figure.key] else { return "" }
    return "\(number(value.mean, figure)) \(plusMinus) \(number(value.sd, figure))"
  }

  /// Whether the paper has it of any row of the table.
  func isPublished(_ figure: ComparedFigure) -> Bool {
    results.rows.contains { PublishedTable.rows[$0.row.name]?[figure.key] != nil }
  }

  func head(_ figure: ComparedFigure) -> String {
    figure.titleWithArrow + (figure.figure.style == .percent ? " (%)" : "")
  }

  /// "0.031", "< 0.001"; "–" where there is no test.
  static func p(_ value: Double?) -> String {
    guard let value else { return "–" }
    return value < 0.001 ? "< 0.001" : String(format: "%.3f", value)
  }

  // MARK: Words

  private static let ruleMeanings = [
    "half": "the map's pixels above 0.5 of its range", "mean_std": "those above its mean + standard deviation",
    "valid": "those above the threshold of its range that is best on the validation images of the same method and seed",
  ]

  /// What a reader must know of the numbers, a sentence each.
  var caption: [String] {
    let evaluation = plan.base.evaluation
    let seeds = plan.seeds.map(String.init).joined(separator: ", ")
    let whose =
      plan.seeds.count == 1 ? "Of seed \(seeds)" : "Mean ± standard deviation (over n − 1) of seeds \(seeds)"
    var lines = [
      "\(whose), on \(plan.imagesText), \(results.masks) of them with a mask.",
      results.masks > 0
        ? "Mean IoU by rule \(evaluation.iouRule), the same for every row: "
          + "\(Self.ruleMeanings[evaluation.iouRule] ?? evaluation.iouRule)."
        : "There are no masks: figures by mask are left out.",
    ]
    let points = EvaluationProtocol(setting: evaluation.protocol).pointsInWords(steps: evaluation.steps)
    let target = evaluation.target == "predicted" ? "predicted" : "true"
    lines.append(
      evaluation.steps > 0
        ? "Protocol \(evaluation.protocol): insertion and deletion in \(points), substrate \(evaluation.substrate), "
          + "the probability of the \(target) class by the model that the map explains."
        : "Protocol \(evaluation.protocol); insertion and deletion are left out (evaluation.steps is 0).")
    for row in plan.rows where row.method.facts.name == "rise" {
      let rise = row.configuration.rise
      let atMost = rise.settle == nil ? "" : "at most "
      let settled =
        rise.settle.map { "; an image's map is done when those of even and odd masks correlate at \($0)" } ?? ""
      lines.append(
        "\(row.title) with \(atMost)\(rise.masks) masks of \(rise.cells) × \(rise.cells) cells, each kept with "
          + "probability \(rise.keep), absent pixels \(rise.absent)\(settled).")
    }
    lines += ownRows + subjects
    lines.append(
      "Tests compare with the best baseline of each figure, by mean; a baseline is a row that is neither by the base's own "
        + "map nor a control. Welch's t over seeds, and a paired bootstrap over images (their means over seeds, "
        + "\(TableResults.draws) draws), both two-sided; Holm's adjustment over the rows of the figure; – where there is "
        + "one seed or no variance.")
    if results.figures.contains(where: isPublished) {
      lines.append("Paper: the figures published for CUB-200-2011 with CLIP's ViT-B/16.")
    }
    return lines
  }

  /// Which methods the rows of the user's own are by.
  private var ownRows: [String] {
    let own = Set(plan.base.table.rows.filter { $0.settings != nil }.map(\.name))
    let words = plan.rows.filter { own.contains($0.name) }.map { "\($0.title) by method \($0.method.facts.name)" }
    return words.isEmpty ? [] : ["Rows of their own: \(words.joined(separator: ", "))."]
  }

  /// Which networks the rows explain that train none.
  private var subjects: [String] {
    let others = results.rows.filter { $0.row.name != $0.network }
    return others.map(\.network).uniqued().map { network in
      let names = others.filter { $0.network == network }.map(\.row.title).joined(separator: ", ")
      return "\(names): of the network of row \(network) of the same seed."
    }
  }

  /// Rows that have failed, and why.
  var failures: [String] {
    results.rows.compactMap { row in
      row.failure.map { failure in
        "\(row.row.title) failed"
          + (row.seeds.isEmpty
            ? "" : "; its figures are of seeds \(row.seeds.map(String.init).joined(separator: ", "))")
          + ": \(failure.message)\(failure.message.hasSuffix(".") ? "" : ".")"
      }
    }
  }
}
