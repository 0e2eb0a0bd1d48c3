/// The style of the pages that `ala` writes.
public let reportStyle = """
  :root { --ink: #1a1a1a; --soft: #666; --line: #ddd; --tint: #f5f7fa; --accent: #0072b2; }
  * { box-sizing: border-box; }
  body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: var(--ink); background: #fff; margin: 0; }
  main { max-width: 1180px; margin: 0 auto; padding: 20px; }
  h1 { font-size: 1.6em; margin: 0 0 4px; }
  h2 { font-size: 1.2em; margin: 36px 0 10px; padding-bottom: 4px; border-bottom: 2px solid var(--accent); }
  h3 { font-size: 1em; margin: 22px 0 8px; }
  p.soft, .soft { color: var(--soft); }
  .scroll { overflow-x: auto; }
  table { border-collapse: collapse; width: 100%; font-size: 14px; }
  th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
  thead th { border-bottom: 2px solid var(--soft); }
  td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  tr.primary td { font-weight: 600; background: var(--tint); }
  tr.control td { color: var(--soft); }
  code { font-size: 13px; overflow-wrap: anywhere; }
  .charts { display: grid; margin-bottom: 14px; align-items: start; grid-template-columns: repeat(auto-fill, minmax(min(100%, 430px), 1fr)); gap: 18px; }
  .charts img { width: 100%; height: auto; border: 1px solid var(--line); border-radius: 6px; }
  .examples { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 350px), 1fr)); gap: 14px; }
  .example { border: 1px solid var(--line); border-radius: 6px; padding: 10px; break-inside: avoid; }
  .example header { font-size: 13px; margin-bottom: 6px; }
  .kind { display: inline-block; min-width: 4.6em; font-weight: 600; }
  .pictures { display: flex; flex-wrap: wrap; gap: 8px; }
  figure { margin: 0; }
  figure img { display: block; width: 160px; max-width: 100%; height: auto; border-radius: 3px; }
  figcaption { font-size: 12px; color: var(--soft); max-width: 160px; overflow-wrap: anywhere; }
  .note { background: #fff7e6; border-left: 4px solid #e69f00; padding: 8px 12px; margin: 10px 0; }
  .bar { display: flex; align-items: center; gap: 8px; font-size: 12px; color: var(--soft); margin: 6px 0 0; }
  .bar img { height: 12px; width: 220px; }
  @media (max-width: 560px) {
    main { padding: 12px; } figure img { width: 42vw; }
    td.number, th.number { white-space: normal; overflow-wrap: anywhere; } td:first-child { min-width: 7em; }
  }
  @media print {
    body, table { font-size: 11px; } .scroll { overflow: visible; }
    td.number, th.number { white-space: normal; overflow-wrap: anywhere; }
    main { max-width: none; padding: 0; } h2 { break-after: avoid; }
    .charts { grid-template-columns: 1fr 1fr; } .charts img { border: 0; break-inside: avoid; }
    .examples { grid-template-columns: 1fr 1fr; } figure img { width: 110px; } details { display: none; }
  }
  """

/// The frame of a page, as a template: everything is escaped by the library; nothing is fetched from anywhere.
///
/// - Parameters:
///   - head: further elements of the head.
///   - style: beside `reportStyle`.
///   - body: what follows the title.
public func pageTemplate(generator: String, head: String = "", style: String = "", body: String) -> String {
  """
  <!DOCTYPE html>
  <html lang="en">
  <head>
  <meta charset="utf-8">
  <meta name="generator" content="\(generator)">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <link rel="icon" href="data:,">\(head.isEmpty ? "" : "\n" + head)
  <title>{{title}}</title>
  <style>
  \(reportStyle)\(style.isEmpty ? "" : "\n" + style)
  </style>
  </head>
  <body>
  <main>
  <h1>{{title}}</h1>
  \(body)
  </main>
  </body>
  </html>

  """
}

/// The template of a table of figures: `heads`, and `rows` of `name` and `cells`.
///
/// - Parameter classes: of the box that it scrolls in.
public func numberTable(_ classes: String = "scroll") -> String {
  """
  <div class="\(classes)"><table>
  <thead><tr><th></th>{{#heads}}<th class="number">{{.}}</th>{{/heads}}</tr></thead>
  <tbody>
  {{#rows}}<tr><td>{{name}}</td>{{#cells}}<td class="number">{{.}}</td>{{/cells}}</tr>
  {{/rows}}
  </tbody></table></div>
  """
}

/// The report's page.
let reportTemplate = pageTemplate(
  generator: "ala report",
  body: """
    <p class="soft">Attention Lattice Adapter: {{runCount}}; written {{date}}.</p>

    <h2>Figures</h2>
    {{#notes}}<p class="note">{{.}}</p>
    {{/notes}}
    {{#figures}}
    <div class="scroll"><table>
    <thead><tr><th></th>{{#heads}}<th class="number">{{.}}</th>{{/heads}}</tr></thead>
    <tbody>
    {{#rows}}<tr{{#class}} class="{{.}}"{{/class}}><td>{{name}}</td>{{#cells}}<td class="number">{{.}}</td>{{/cells}}</tr>
    {{/rows}}
    </tbody></table></div>
    {{/figures}}
    {{^figures}}<p class="soft">No evaluation of these weights was found in, below or beside the run's folder.</p>{{/figures}}

    {{#curves}}
    <h2>Curves of the explanations</h2>
    <div class="charts">{{#charts}}<img src="{{source}}" alt="{{name}}">{{/charts}}</div>
    {{/curves}}

    {{#training}}
    <h2>Training</h2>
    <div class="charts">{{#charts}}<img src="{{source}}" alt="{{name}}">{{/charts}}</div>
    \(numberTable())
    {{/training}}

    <h2>Examples</h2>
    <p class="soft">{{exampleNote}}</p>
    {{#hasExamples}}<p class="soft">White: the outline of the annotated mask.</p>
    <p class="bar">least <img src="{{colourBar}}" alt="colours from the map's minimum to its maximum"> most</p>{{/hasExamples}}
    {{#classes}}
    <h3>{{name}}</h3>
    <div class="examples">
    {{#examples}}<div class="example"><header><span class="kind">{{kind}}</span>{{caption}}</header>
    <div class="pictures">{{#pictures}}<figure><img src="{{source}}" alt="{{label}}"><figcaption>{{label}}</figcaption></figure>{{/pictures}}</div></div>
    {{/examples}}
    </div>
    {{/classes}}

    {{#settings}}
    <h2>Settings</h2>
    {{#differing}}
    <h3>Where the runs differ</h3>
    <div class="scroll"><table>
    <thead><tr><th>setting</th>{{#heads}}<th>{{.}}</th>{{/heads}}</tr></thead>
    <tbody>{{#rows}}<tr><td><code>{{name}}</code></td>{{#cells}}<td><code>{{.}}</code></td>{{/cells}}</tr>
    {{/rows}}</tbody></table></div>
    {{/differing}}
    <details><summary>All settings</summary>
    <div class="scroll"><table>
    <thead><tr><th>setting</th>{{#heads}}<th>{{.}}</th>{{/heads}}</tr></thead>
    <tbody>{{#rows}}<tr><td><code>{{name}}</code></td>{{#cells}}<td><code>{{.}}</code></td>{{/cells}}</tr>
    {{/rows}}</tbody></table></div>
    </details>
    {{/settings}}

    {{#machine}}
    <h2>Machine and cost</h2>
    <div class="scroll"><table>
    <thead><tr><th></th>{{#heads}}<th>{{.}}</th>{{/heads}}</tr></thead>
    <tbody>{{#rows}}<tr><td>{{name}}</td>{{#cells}}<td>{{.}}</td>{{/cells}}</tr>
    {{/rows}}</tbody></table></div>
    {{/machine}}
    """)
