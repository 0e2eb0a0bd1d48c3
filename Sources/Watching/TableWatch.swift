import Foundation
import Reporting

/// What is shown of a table: on a terminal, and as a page.

extension WatchedTable {
  var lines: [String] {
    let standing = TableStanding(self)
    var lines = ["\(path): \(standing.state)", progressLine(standing.progress, share: standing.share)]
    lines += standing.tableLines + (standing.now.map { ["now: \($0)"] } ?? [])
    if let run {
      let own = Standing(run)
      lines += ([own.progress] + own.details).map { "  \($0)" }
    }
    lines += standing.failures.map { "failed: \($0)" }
    return lines + standing.lastWords.suffix(1).map { "log: \($0)" }
  }

  func page(seconds: Int?) throws -> String {
    let standing = TableStanding(self)
    let rows = standing.rows.map { row in
      ["name": row.name, "cells": row.cells.map { ["state": $0.rawValue] }] as [String: Any]
    }
    let own = run.map { ($0, Standing($0)) }
    return try page(
      template, seconds: seconds, standing,
      [
        "table": rows.isEmpty ? nil : ["heads": standing.heads, "rows": rows] as [String: Any],
        "failures": standing.failures,
        "now": standing.now,
        "step": own?.1.progress,
        "run": try own.map { try pageContext($0.0, $0.1) },
      ])
  }
}

extension TableStanding {
  /// A line a row, under a line of the seeds.
  fileprivate var tableLines: [String] {
    guard !rows.isEmpty else { return [] }
    let width = rows.map(\.name.count).max() ?? 0
    func line(_ name: String, _ cells: [String]) -> String {
      let first = name.padding(toLength: width, withPad: " ", startingAt: 0)
      return ([first] + cells.map { $0.padding(toLength: 11, withPad: " ", startingAt: 0) }).joined(separator: "  ")
    }
    return [line("", heads)] + rows.map { line($0.name, $0.cells.map(\.rawValue)) }
  }
}

private let style = """
    td.done { color: #1a7f37; } td.failed { color: #b00020; font-weight: 600; }
    td.training, td.evaluating { color: var(--accent); font-weight: 600; }
    td.waiting, td.trained { color: var(--soft); }
  """

private let template = pageTemplate(
  generator: watchGenerator, head: refreshHead, style: "\(watchStyle)\n\(style)",
  body: """
    \(progressTemplate)
    {{#table}}
    <h2>Rows</h2>
    <div class="scroll"><table>
    <thead><tr><th></th>{{#heads}}<th>{{.}}</th>{{/heads}}</tr></thead>
    <tbody>
    {{#rows}}<tr><td>{{name}}</td>{{#cells}}<td class="{{state}}">{{state}}</td>{{/cells}}</tr>
    {{/rows}}</tbody></table></div>
    {{/table}}
    {{#failures}}<p class="note">{{.}}</p>
    {{/failures}}
    {{#now}}<h2>Now</h2>
    <p>{{.}}</p>{{/now}}
    {{#step}}<p>{{.}}</p>{{/step}}
    {{#run}}
    \(runTemplate)
    {{/run}}

    \(logTemplate)
    """)
