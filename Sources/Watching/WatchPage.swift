import Foundation
import Mustache
import Reporting
import Storage

/// The name by which a page is known to be the command's own.
let watchGenerator = "ala watch"

extension WatchedRun {
  /// One file that needs nothing else, and that a browser loads again by itself as long as the run goes on.
  func page(seconds: Int?) throws -> String {
    let standing = Standing(self)
    return try page(template, seconds: seconds, standing, ["run": try pageContext(self, standing)])
  }
}

/// Who has a folder, or how the last one left it that has not come to its end, and what goes on there.
///
/// - Parameters:
///   - ending: where it gave the folder back, as far as its log says.
///   - goingOn: the command, where it is known.
func stateWords(_ holder: String?, _ killed: RunHolder.Killed?, _ ending: Ending?, goingOn: String?) -> String {
  if let holder { return "running: \(holder)" }
  let command = "the same command goes on" + (goingOn.map { ": \($0)" } ?? "")
  return killed.map { "killed: \($0.process) has ended without a word; \(command)" }
    ?? "\(ending?.words ?? "not running, and not at its end"); \(command)"
}

/// What every page tells of how far it has come.
protocol Progress {
  var state: String { get }
  var progress: String { get }
  /// 0…1; nil where the end is not known.
  var share: Double? { get }
  var lastWords: [String] { get }
}

extension Watched {
  /// - Parameter own: what the template shows beside `progressTemplate` and `logTemplate`.
  func page(_ template: String, seconds: Int?, _ standing: some Progress, _ own: [String: Any?]) throws -> String {
    let context: [String: Any?] = [
      "title": path,
      "refresh": holder == nil ? nil : seconds,
      "state": standing.state,
      "progress": standing.progress,
      "percent": standing.share.map { String(format: "%.1f", 100 * $0) },
      "date": ISO8601DateFormatter().string(from: Date()),
      "log": standing.lastWords,
    ]
    return try MustacheTemplate(string: template).render(context.merging(own) { $1 }.compactMapValues { $0 })
  }
}

/// What `runTemplate` shows.
func pageContext(_ run: WatchedRun, _ standing: Standing) throws -> [String: Any] {
  let context: [String: Any?] = [
    "phases": standing.phases.isEmpty
      ? nil
      : [
        "heads": Standing.phaseHeads,
        "rows": standing.phases.map { ["name": $0.phase, "cells": $0.cells] as [String: Any] },
      ]
        as [String: Any],
    "charts": try chartSources([lossChart(run), accuracyChart("validation", run.metrics.epochs)].compactMap { $0 }),
    "validation": standing.validation,
    "remark": standing.remark,
    "pictures": run.events.pictures.isEmpty ? nil : ["all": run.events.pictures.map { picture($0, run) }],
    "ranks": standing.ranks.isEmpty ? nil : ranks(standing),
  ]
  return context.compactMapValues { $0 }
}

private func ranks(_ standing: Standing) -> [String: Any] {
  let most = max(standing.ranks.map { max($0.dataMilliseconds, $0.ranksMilliseconds) }.max() ?? 0, 1e-9)
  func share(_ milliseconds: Double) -> String { String(format: "%.1f", 100 * milliseconds / most) }
  let rows = standing.ranks.map { row in
    [
      "rank": row.rank, "data": Standing.words(row.dataMilliseconds), "ranks": Standing.words(row.ranksMilliseconds),
      "dataShare": share(row.dataMilliseconds), "ranksShare": share(row.ranksMilliseconds),
    ] as [String: Any]
  }
  return ["rows": rows, "note": standing.rankNote.map { "; \($0)" } ?? ""]
}

private func picture(_ picture: RunEvents.Picture, _ run: WatchedRun) -> [String: Any] {
  let epoch = run.stepsPerEpoch > 0 ? "epoch \((picture.step - 1) / run.stepsPerEpoch + 1)" : "step \(picture.step)"
  return [
    "source": "data:image/png;base64,\(picture.png.base64EncodedString())",
    "label": "image \(picture.imageID), \(epoch)",
  ]
}

/// The whole loss by phase, steps thin and means of epochs thick; nil before there is one.
private func lossChart(_ run: WatchedRun) -> Chart? {
  // A screen has not so many columns.
  let mostPoints = 2000
  let steps = run.metrics.steps
  let perEpoch = Double(max(run.stepsPerEpoch, 1))
  var series: [Chart.Series] = []
  for (index, phase) in Set(steps.map(\.phase)).sorted().enumerated() {
    let colour = Chart.palette[index % Chart.palette.count]
    let stride = max(1, steps.count / mostPoints)
    let shown = steps.enumerated().filter { $0.offset % stride == 0 }.map(\.element)
    // The other phases' steps stay as gaps, so that no line bridges them.
    series.append(
      Chart.Series(
        "", x: shown.map { Double($0.step ?? 0) / perEpoch },
        y: shown.map { $0.phase == phase ? $0.loss ?? .nan : .nan },
        colour, isThin: true))
    let epochs = Dictionary(grouping: steps.filter { $0.phase == phase && $0.loss != nil }, by: \.epoch)
      .sorted { $0.key < $1.key }
    series.append(
      Chart.Series(
        "\(phase) epochs", x: epochs.map { Double($0.key) - 0.5 },
        y: epochs.map { $0.value.reduce(0) { $0 + ($1.loss ?? 0) } / Double($0.value.count) }, colour))
  }
  guard series.contains(where: { $0.y.contains(where: \.isFinite) }) else { return nil }
  return Chart(
    title: "Loss by phase", xLabel: run.stepsPerEpoch > 0 ? "epochs" : "steps", yLabel: "loss", series: series)
}

let watchStyle = """
    .state { font-size: 1.1em; margin: 6px 0; }
    .track { background: var(--tint); border: 1px solid var(--line); border-radius: 6px; height: 14px; overflow: hidden; }
    .track div { background: var(--accent); height: 100%; }
    .wait { display: flex; align-items: center; gap: 8px; min-width: 9em; }
    .wait span { display: block; height: 10px; background: var(--accent); border-radius: 2px; }
    .wait span.data { background: #e69f00; }
    .wait b { font-weight: 400; white-space: nowrap; font-variant-numeric: tabular-nums; }
    .wait i { flex: 1; }
    @media (max-width: 560px) {
      th, td { padding-right: 8px; } th.number, td.number { overflow-wrap: normal; } td.number { white-space: nowrap; }
    }
    pre { background: var(--tint); padding: 8px 12px; overflow-x: auto; font-size: 13px; }
  """

let refreshHead = "{{#refresh}}<meta http-equiv=\"refresh\" content=\"{{.}}\">{{/refresh}}"

/// How far it has come, at the top of a page.
let progressTemplate = """
  <p class="state">{{state}}</p>
  <p>{{progress}}</p>
  {{#percent}}<div class="track"><div style="width: {{.}}%"></div></div>{{/percent}}
  <p class="soft">Written {{date}}{{#refresh}}; looks again every {{.}} s{{/refresh}}.</p>
  """

let logTemplate = """
  <h2>Log</h2>
  <pre>{{#log}}{{.}}
  {{/log}}</pre>
  """

/// A run's losses, maps, and what its ranks wait for.
let runTemplate = """
  <h2>Losses</h2>
  <div class="charts">{{#charts}}<img src="{{source}}" alt="{{name}}">{{/charts}}</div>
  {{#phases}}
  \(numberTable())
  {{/phases}}
  {{^phases}}<p class="soft">No step yet.</p>{{/phases}}
  {{#remark}}<p class="note">{{.}}</p>{{/remark}}
  {{#validation}}<p>Validation, {{.}}.</p>{{/validation}}

  <h2>Newest maps of validation images</h2>
  {{#pictures}}
  <div class="pictures">{{#all}}<figure><img src="{{source}}" alt="{{label}}"><figcaption>{{label}}</figcaption></figure>{{/all}}</div>
  {{/pictures}}
  {{^pictures}}<p class="soft">None yet: they come with a validation of a network that makes maps.</p>{{/pictures}}

  <h2>Waiting, a step of each rank</h2>
  {{#ranks}}
  <p class="soft">Who waits least for the others is the one that they wait for{{note}}.</p>
  <div class="scroll"><table>
  <thead><tr><th>rank</th><th>for its samples</th><th>for other ranks</th></tr></thead>
  <tbody>{{#rows}}<tr><td>{{rank}}</td>
  <td><div class="wait"><b>{{data}}</b><i><span class="data" style="width: {{dataShare}}%"></span></i></div></td>
  <td><div class="wait"><b>{{ranks}}</b><i><span style="width: {{ranksShare}}%"></span></i></div></td></tr>
  {{/rows}}</tbody></table></div>
  {{/ranks}}
  {{^ranks}}<p class="soft">Not told yet.</p>{{/ranks}}
  """

private let template = pageTemplate(
  generator: watchGenerator, head: refreshHead, style: watchStyle,
  body: "\(progressTemplate)\n{{#run}}\n\(runTemplate)\n{{/run}}\n\(logTemplate)")
