import Foundation
import Metrics
import Statistics

/// The tables of a report, as rows of text.
struct ReportTable {
  struct Row {
    let name: String
    let cells: [String]
    var `class`: String?
  }

  let heads: [String]
  let rows: [Row]

  /// The figures of evaluations side by side; rows that nothing has are left out.
  static func figures(_ methods: [(name: String, folder: EvaluationFolder)]) -> ReportTable? {
    guard !methods.isEmpty else { return nil }
    let summaries = methods.map(\.folder.summary)
    var rows: [Row] = []
    func add(_ name: String, class kind: String? = nil, _ value: (EvaluationSummary) -> String?) {
      let cells = summaries.map { value($0) ?? "" }
      if cells.contains(where: { !$0.isEmpty }) { rows.append(Row(name: name, cells: cells, class: kind)) }
    }
    func addControls() {
      for control in Control.allCases {
        for rule in Control.rules {
          add("mean IoU (\(rule.rawValue)) of \(control.title)", class: "control") {
            number($0.controls[control.rawValue]?[rule.rawValue])
          }
        }
      }
    }
    for figure in FigureTable.figures {
      let isPrimary = summaries.contains { IoURule.key($0.settings["iou_rule"] ?? "") == figure.key }
      add(figure.titleWithArrow + (isPrimary ? " (primary)" : ""), class: isPrimary ? "primary" : nil) {
        text(figure, $0)
      }
      if figure.key == IoURule.key(IoURule.valid.rawValue) { addControls() }
    }
    add("images") { "\($0.counts.images)" }
    add("with a mask, with a box") { "\($0.counts.withMask), \($0.counts.withBox)" }
    add("a subset") { $0.settings["subset"] }
    add("protocol, substrate, target") {
      [$0.settings["protocol"], $0.settings["substrate"], $0.settings["target"]].compactMap { $0 }.joined(
        separator: ", ")
    }
    return ReportTable(heads: methods.map(\.name), rows: rows)
  }

  /// How training went.
  static func training(_ runs: [(name: String, run: RunFolder)]) -> ReportTable? {
    guard !runs.isEmpty else { return nil }
    func row(_ name: String, _ value: (RunFolder) -> String) -> Row {
      Row(name: name, cells: runs.map { value($0.run) })
    }
    func rate(_ run: RunFolder, _ phase: String) -> String {
      let rate = median(run.steps.filter { $0.phase == phase }.compactMap(\.samples_per_s))
      return rate.map { String(format: "%.4g", $0) } ?? ""
    }
    func best(_ run: RunFolder) -> RunFolder.Line? {
      run.epochs.filter { $0.split == "valid" }.max {
        ($0.accuracy ?? 0, -($0.loss ?? 0)) < ($1.accuracy ?? 0, -($1.loss ?? 0))
      }
    }
    return ReportTable(
      heads: runs.map(\.name),
      rows: [
        row("epochs, steps") { "\($0.epochs.map(\.epoch).max() ?? 0), \($0.steps.last?.step ?? 0)" },
        row("best validation accuracy") { percent(best($0)?.accuracy) ?? "" },
        row("its epoch, its IoU (mean_std)") { run in
          best(run).map { "\($0.epoch)" + ($0.iou.map { String(format: ", %.3f", $0) } ?? "") } ?? ""
        },
        row("images/s, alpha epochs (median)") { rate($0, "alpha") },
        row("images/s, ones epochs (median)") { rate($0, "ones") },
      ])
  }

  /// Settings of runs side by side.
  ///
  /// - Parameter onlyDiffering: leaves out what all have alike.
  static func settings(_ runs: [(name: String, run: RunFolder)], onlyDiffering: Bool) -> ReportTable? {
    var keys: [String] = []
    for (_, run) in runs {
      for (key, _) in run.settings where !keys.contains(key) { keys.append(key) }
    }
    let values = runs.map {
      Dictionary($0.run.settings.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
    }
    let rows = keys.map { key in Row(name: key, cells: values.map { $0[key] ?? "" }) }
      .filter { !onlyDiffering || Set($0.cells).count > 1 }
    return rows.isEmpty ? nil : ReportTable(heads: runs.map(\.name), rows: rows)
  }

  /// What runs and evaluations ran on, and what they took.
  static func machine(
    _ runs: [(name: String, run: RunFolder)], _ methods: [(name: String, folder: EvaluationFolder)]
  ) -> ReportTable? {
    let words = [
      ("cpu", "processor"), ("ranks", "ranks"), ("blas", "BLAS"), ("blas_kernel", "BLAS kernel"),
      ("onednn_kernel", "products by"), ("bfloat16_kernel", "bfloat16 by"), ("hdf5", "HDF5"),
    ]
    var rows = words.map { key, name in
      Row(name: name, cells: runs.map { $0.run.machine[key] ?? "" } + methods.map { _ in "" })
    }
    rows.append(Row(name: "training ended with", cells: runs.map(\.run.lastWord) + methods.map { _ in "" }))
    for (key, name) in [
      ("seconds", "evaluation, seconds"), ("images_per_s", "evaluation, images/s"),
      ("peak_memory_mib", "peak memory of a rank, MiB"),
      ("ranks", "evaluation, ranks"), ("threads", "evaluation, threads of a rank"),
    ] {
      rows.append(Row(name: name, cells: runs.map { _ in "" } + methods.map { $0.folder.cost[key] ?? "" }))
    }
    rows = rows.filter { $0.cells.contains { !$0.isEmpty } }
    return rows.isEmpty ? nil : ReportTable(heads: runs.map(\.name) + methods.map(\.name), rows: rows)
  }

  /// Shares with three digits; counts, which are larger, without.
  private static func number(_ value: Double?) -> String? {
    value.map { String(format: $0 < 100 ? "%.3f" : "%.0f", $0) }
  }
  private static func percent(_ value: Double?) -> String? { value.map { String(format: "%.1f%%", 100 * $0) } }

  private static func text(_ figure: Figure, _ summary: EvaluationSummary) -> String? {
    let value = summary[figure.key]
    guard figure.style != .percent else { return percent(value) }
    let spread = summary.spreads[figure.key].map { String(format: " ± %.3f", $0) }
    return number(value).map { $0 + (spread ?? "") }
  }
}
