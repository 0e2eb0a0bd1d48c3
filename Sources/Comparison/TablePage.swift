import Foundation
import Images
import Mustache
import Reporting

/// `table.html`: one self-contained page.
struct TablePage {
  let text: TableText
  let figure: (picture: RGBImage, rule: String)?
  let mapArea: MapAreaChart?

  func render() throws -> String {
    let context: [String: Any?] = [
      "title": "Table", "caption": text.caption, "failures": text.failures, "main": Self.table(text.mainTable()),
      "tests": text.results.tested.map { figure -> [String: Any] in
        Self.table(text.testTable(figure)).merging(["title": figure.title]) { own, _ in own }
      },
      "charts": try mapArea.map { area in
        let svg = Data(try area.chart.canvas().svg().utf8).base64EncodedString()
        return ["name": area.chart.title, "source": "data:image/svg+xml;base64,\(svg)"]
      },
      "figure": try figure.map { picture, rule in
        [
          "rule": rule,
          "source": "data:image/png;base64," + Data(try encodePNG(picture)).base64EncodedString(),
        ]
      },
      "settings": TableJSON.settings(text.plan.base).sorted { $0.key < $1.key }.map {
        ["key": $0.key, "value": $0.value]
      },
    ]
    return try MustacheTemplate(string: Self.template).render(context.compactMapValues { $0 })
  }

  private static func table(_ table: (heads: [String], rows: [[String]])) -> [String: Any] {
    [
      "heads": Array(table.heads.dropFirst()),
      "rows": table.rows.map { ["name": $0[0], "cells": Array($0.dropFirst())] as [String: Any] },
    ]
  }

  private static let template = pageTemplate(
    generator: "ala table",
    style: """
      .main table { font-size: 12.5px; } .main th, .main td { padding-right: 7px; }
      .main td:first-child { white-space: nowrap; } td.number { white-space: nowrap; }
      """,
    body: """
      {{#failures}}<p class="note">{{.}}</p>
      {{/failures}}
      {{#main}}
      \(numberTable("scroll main"))
      {{/main}}
      {{#caption}}<p class="soft">{{.}}</p>
      {{/caption}}

      <h2>Significance</h2>
      {{#tests}}
      <h3>{{title}}</h3>
      \(numberTable())
      {{/tests}}

      {{#charts}}
      <h2>Does alternation widen the map?</h2>
      <div class="charts"><img src="{{source}}" alt="{{name}}"></div>
      {{/charts}}

      {{#figure}}
      <h2>Maps</h2>
      <p class="soft">{{rule}}</p>
      <div class="scroll"><img src="{{source}}" alt="maps of every row" style="max-width: 100%; height: auto"></div>
      {{/figure}}

      <h2>Settings of the base</h2>
      <details><summary>all that matters of them</summary>
      <div class="scroll"><table><tbody>
      {{#settings}}<tr><td>{{key}}</td><td><code>{{value}}</code></td></tr>
      {{/settings}}
      </tbody></table></div></details>
      """)
}
