import Foundation
import Metrics

/// The table as Markdown, CSV and LaTeX.
extension TableText {
  // MARK: Rows of cells

  /// Heads and rows of the main table, the paper's figures beside ours.
  func mainTable(plusMinus: String = "±") -> (heads: [String], rows: [[String]]) {
    let shown = results.shown
    let heads = shown.flatMap { isPublished($0) ? [head($0), "paper"] : [head($0)] }
    let rows = results.rows.map { row in
      [row.row.title + (row.failure == nil ? "" : " (failed)")]
        + shown.flatMap { figure in
          let own = text(row.cells[figure.key], figure, plusMinus: plusMinus)
          return isPublished(figure) ? [own, published(row, figure, plusMinus: plusMinus)] : [own]
        }
    }
    return ([""] + heads, rows)
  }

  /// Heads and rows of a figure's tests.
  func testTable(_ figure: ComparedFigure) -> (heads: [String], rows: [[String]]) {
    let heads = ["", head(figure), "Welch p", "Holm", "bootstrap p", "Holm"]
    let rows = results.rows.compactMap { row -> [String]? in
      guard let cell = row.cells[figure.key] else { return nil }
      let isBest = cell.bestBaseline == row.row.name
      return [
        row.row.title + (isBest ? " (best baseline)" : ""), text(cell, figure), Self.p(cell.welch),
        Self.p(cell.welchHolm),
        Self.p(cell.bootstrap), Self.p(cell.bootstrapHolm),
      ]
    }
    return (heads, rows)
  }

  // MARK: Markdown

  var markdown: String {
    var lines = ["# Table", ""] + Self.markdown(mainTable()) + [""] + caption + [""]
    if !failures.isEmpty { lines += ["## Failed rows", ""] + failures.map { "- \(Self.escapedMarkdown($0))" } + [""] }
    lines += ["## Significance", ""]
    for figure in results.tested {
      lines += ["### \(figure.title)", ""] + Self.markdown(testTable(figure)) + [""]
    }
    return lines.joined(separator: "\n")
  }

  private static func markdown(_ table: (heads: [String], rows: [[String]])) -> [String] {
    func line(_ cells: [String]) -> String { "| \(cells.map(escapedMarkdown).joined(separator: " | ")) |" }
    let rule = "|---|" + String(repeating: "--:|", count: table.heads.count - 1)
    return [line(table.heads), rule] + table.rows.map(line)
  }

  private static func escapedMarkdown(_ text: String) -> String {
    ["\\", "|", "_", "*", "`", "<"].reduce(text) { $0.replacing($1, with: "\\\($1)") }.replacing("\n", with: " ")
  }

  // MARK: CSV

  /// One line for each figure of a row, every figure of an evaluation among them; empty cells where there is nothing.
  var csv: String {
    var lines = [
      "row,method,network,figure,mean,sd,n,published_mean,published_sd,best_baseline,p_welch,p_welch_holm,p_bootstrap,"
        + "p_bootstrap_holm,values"
    ]
    func cell(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
    for row in results.rows {
      for figure in results.figures {
        guard let own = row.cells[figure.key] else { continue }
        let paper = PublishedTable.rows[row.row.name]?[figure.key]
        lines.append(
          [
            row.row.name, row.row.method.facts.name, row.network, figure.key, cell(own.mean), cell(own.sd),
            "\(own.values.count)", cell(paper?.mean), cell(paper?.sd), own.bestBaseline ?? "", cell(own.welch),
            cell(own.welchHolm), cell(own.bootstrap), cell(own.bootstrapHolm),
            own.values.map { "\($0)" }.joined(separator: " "),
          ].joined(separator: ","))
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: LaTeX

  /// A `table*` for `booktabs`.
  var latex: String {
    let (heads, rows) = mainTable(plusMinus: "\u{B1}")
    func line(_ cells: [String]) -> String { cells.map(Self.escapedLaTeX).joined(separator: " & ") + " \\\\" }
    return
      ([
        "% Needs \\usepackage{booktabs}.", "\\begin{table*}", "\\centering",
        "\\begin{tabular}{l\(String(repeating: "r", count: heads.count - 1))}", "\\toprule", line(heads), "\\midrule",
      ] + rows.map(line) + [
        "\\bottomrule", "\\end{tabular}",
        "\\caption{\((caption + failures).map(Self.escapedLaTeX).joined(separator: " "))}",
        "\\end{table*}",
      ]).joined(separator: "\n") + "\n"
  }

  private static let latexWords: [Character: String] = [
    "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "&": "\\&", "%": "\\%", "$": "\\$", "#": "\\#", "_": "\\_",
    "~": "\\textasciitilde{}", "^": "\\textasciicircum{}", "\u{B1}": "$\\pm$", "\u{2191}": "$\\uparrow$",
    "\u{2193}": "$\\downarrow$", "\u{2212}": "$-$", "\u{2013}": "--", "\u{D7}": "$\\times$", "\u{200B}": "{}",
    "<": "$<$", ">": "$>$",
    "\n": " ",
  ]

  /// Options such as `--set` keep their two hyphens, which would become a dash.
  private static func escapedLaTeX(_ text: String) -> String {
    text.replacing("--", with: "-\u{200B}-").map { latexWords[$0] ?? String($0) }.joined()
  }
}
