import Metrics
import Failures
import Files
import Foundation
import Images
import Mustache

/// `ala report`: one self-contained page for one run or several side by side.

/// Makes the page.
///
/// - Parameters:
///   - paths: folders of runs, whose evaluations are found by their weights, or folders of evaluations.
///   - warn: told of what lies beside a run and may be an evaluation of it, but cannot be read.
/// - Throws: `Failure` 66 for a folder that is neither, 65 for a broken file in one, naming it.
public func renderReport(_ paths: [String], warn: (String) -> Void = { _ in }) throws -> String {
  var runs: [(name: String, run: RunFolder)] = []
  var methods: [(name: String, folder: EvaluationFolder)] = []
  for (path, name) in zip(paths, shortNames(paths)) {
    if RunFolder.isPresent(path) {
      let run = try RunFolder(path)
      runs.append((name, run))
      for folder in run.evaluations {
        let detail = [folder.method, folder.split].joined(separator: ", ")
        methods.append((paths.count == 1 ? detail : "\(name): \(detail)", folder))
      }
    } else if EvaluationFolder.isPresent(path) {
      methods.append((name, try EvaluationFolder(path)))
    } else {
      throw Failure.missingInput("\(path): is neither a run (metrics.jsonl) nor an evaluation (summary.json)")
    }
  }
  var leftOut: [String] = []
  for reason in runs.flatMap(\.run.unreadable) where !leftOut.contains(reason) { leftOut.append(reason) }
  for reason in leftOut { warn("\(reason); it is left out, and may be an evaluation of these runs") }
  methods = distinctlyNamed(methods)
  let examples = try ReportExamples(methods)
  let context: [String: Any?] = [
    "title": runs.isEmpty ? methods.map(\.name).joined(separator: ", ") : runs.map(\.name).joined(separator: ", "),
    "runCount":
      "\(runs.count) run\(runs.count == 1 ? "" : "s"), \(methods.count) evaluation\(methods.count == 1 ? "" : "s")",
    "date": ISO8601DateFormatter().string(from: Date()),
    "notes": leftOut.map { "left out: \($0)" } + notes(methods),
    "figures": ReportTable.figures(methods),
    "curves": try chartSources(evaluationCharts(methods)).map { ["charts": $0] },
    "training": try ReportTable.training(runs).map { table in
      [
        "charts": try chartSources(runs.flatMap { trainingCharts($0.name, $0.run) } + mapAreaCharts(runs)) ?? [],
        "heads": table.heads,
        "rows": table.rows,
      ] as [String: Any]
    },
    "classes": examples.classes,
    "hasExamples": !examples.classes.isEmpty,
    "exampleNote": examples.note,
    "colourBar": try dataURI(heatImage((0..<128).map { Float($0) / 127 }, width: 128, height: 1)),
    "settings": ReportTable.settings(runs, onlyDiffering: false).map { table in
      [
        "heads": table.heads, "rows": table.rows,
        "differing": runs.count > 1 ? ReportTable.settings(runs, onlyDiffering: true) as Any : [Int]() as Any,
      ]
    },
    "machine": ReportTable.machine(runs, methods),
  ]
  return try MustacheTemplate(string: reportTemplate).render(context.compactMapValues { $0 })
}

/// What evaluations say of themselves, each sentence once with all that say it.
private func notes(_ methods: [(name: String, folder: EvaluationFolder)]) -> [String] {
  var sentences: [String] = []
  for note in methods.flatMap(\.folder.summary.notes) where !sentences.contains(note) { sentences.append(note) }
  return sentences.map { sentence in
    let names = methods.filter { $0.folder.summary.notes.contains(sentence) }.map(\.name)
    return "\(names.joined(separator: "; ")): \(sentence)"
  }
}

/// Whether a file is a page that `renderReport` has made.
public func isReport(_ path: String) -> Bool { isPage(path, of: "ala report") }

/// Whether a file is a page of `pageTemplate` with that generator.
public func isPage(_ path: String, of generator: String) -> Bool {
  let head = (try? readBeginning(of: path, count: 4096)) ?? []
  return String(decoding: head, as: UTF8.self).contains("<meta name=\"generator\" content=\"\(generator)\">")
}

/// The last part of each path, with as many before it as tell them apart.
private func shortNames(_ paths: [String]) -> [String] {
  let parts = paths.map { URL(fileURLWithPath: $0).standardizedFileURL.pathComponents }
  return parts.indices.map { index in
    let longest = parts[index].count
    let length = (1...max(longest, 1)).first { length in
      parts.indices.allSatisfy { $0 == index || parts[$0].suffix(length) != parts[index].suffix(length) }
    }
    return parts[index].suffix(max(length ?? longest, min(2, longest))).joined(separator: "/")
  }
}

/// Evaluations that would share a name, each with its folder's beside it.
private func distinctlyNamed(
  _ methods: [(name: String, folder: EvaluationFolder)]
) -> [(name: String, folder: EvaluationFolder)] {
  methods.map { name, folder in
    let isShared = methods.count { $0.name == name } > 1
    return (isShared ? "\(name) (\((folder.path as NSString).lastPathComponent))" : name, folder)
  }
}

private func evaluationCharts(_ methods: [(name: String, folder: EvaluationFolder)]) -> [Chart] {
  // Evaluations of one page may be of different images, or of samples of them.
  var sizes: [String] = []
  for (_, folder) in methods {
    let subset = folder.summary.settings["subset"] ?? ""
    let size = subset.isEmpty ? "\(folder.summary.counts.images) images" : subset
    if !sizes.contains(size) { sizes.append(size) }
  }
  let caption = sizes.joined(separator: " | ")
  var result: [Chart] = []
  let curves = methods.compactMap { name, folder in folder.summary.iouCurve.map { (name: name, curve: $0) } }
  if !curves.isEmpty { result.append(EvaluationCharts.iou(curves, caption: caption)) }
  let cascades = methods.compactMap { name, folder in folder.summary.cascade.map { (name: name, cascade: $0) } }
  if !cascades.isEmpty {
    let subsets = Set(cascades.map(\.cascade.subset)).sorted().joined(separator: " | ")
    result.append(EvaluationCharts.cascade(cascades, caption: subsets))
  }
  let perturbed = methods.compactMap { name, folder in
    folder.summary.insertionCurve.flatMap { insertion in
      folder.summary.deletionCurve.map { (name: name, insertion: insertion, deletion: $0) }
    }
  }
  if !perturbed.isEmpty { result.append(EvaluationCharts.perturbation(perturbed, caption: caption)) }
  return result
}

/// Losses by phase, single steps thin and epochs thick, and what validation says.
private func trainingCharts(_ name: String, _ run: RunFolder) -> [Chart] {
  func steps(_ phase: String, _ value: KeyPath<RunFolder.Line, Double?>) -> (x: [Double], y: [Double]) {
    // The other phase's steps stay as gaps, so that no line bridges them.
    return (
      run.steps.map { Double($0.step ?? 0) }, run.steps.map { $0.phase == phase ? $0[keyPath: value] ?? .nan : .nan }
    )
  }
  let stepsPerEpoch = Double(run.steps.last?.step ?? 0) / Double(max(run.steps.last?.epoch ?? 1, 1))
  var losses: [Chart.Series] = []
  for (index, phase) in ["alpha", "ones"].enumerated() {
    let single = steps(phase, \.loss_pb)
    guard single.y.contains(where: \.isFinite) else { continue }
    let colour = Chart.palette[index]
    losses.append(Chart.Series("", x: single.x.map { $0 / stepsPerEpoch }, y: single.y, colour, isThin: true))
    let mean = means(run.steps.filter { $0.phase == phase }, \.loss_pb)
    losses.append(Chart.Series("CE(PB), \(phase) epochs", x: mean.x, y: mean.y, colour))
  }
  let attention = means(run.steps, \.loss_ab)
  if attention.y.contains(where: \.isFinite) {
    losses.append(
      Chart.Series("CE(AB), alpha epochs", x: attention.x, y: attention.y, Chart.palette[2], isDashed: true))
  }
  var charts: [Chart] = []
  if !losses.isEmpty {
    charts.append(Chart(title: "Training losses: \(name)", xLabel: "epoch", yLabel: "cross-entropy", series: losses))
  }
  return charts + [accuracyChart(name, run.epochs)].compactMap { $0 }
}

/// Accuracies of training by phase, of validation, and its IoU, over the epochs; nil before there is one.
public func accuracyChart(_ name: String, _ lines: [RunFolder.Line]) -> Chart? {
  func epochs(_ split: String, _ phase: String?, _ value: KeyPath<RunFolder.Line, Double?>) -> (
    x: [Double], y: [Double]
  ) {
    let own = lines.filter { $0.split == split && (phase == nil || $0.phase == phase) }
    return (own.map { Double($0.epoch) }, own.map { $0[keyPath: value] ?? .nan })
  }
  var validation: [Chart.Series] = []
  for (title, split, phase, value, index) in [
    ("training accuracy, alpha epochs", "train", "alpha", \RunFolder.Line.accuracy, 0),
    ("training accuracy, ones epochs", "train", "ones", \RunFolder.Line.accuracy, 1),
    ("validation accuracy", "valid", nil, \RunFolder.Line.accuracy, 2),
    ("validation IoU (mean_std)", "valid", nil, \RunFolder.Line.iou, 3),
  ] as [(String, String, String?, KeyPath<RunFolder.Line, Double?>, Int)] {
    let curve = epochs(split, phase, value)
    if curve.y.contains(where: \.isFinite) {
      validation.append(Chart.Series(title, x: curve.x, y: curve.y, Chart.palette[index], isDashed: split == "train"))
    }
  }
  guard let last = validation.last else { return nil }
  let title = last.name.hasPrefix("validation IoU") ? "Accuracy and IoU" : "Accuracy"
  return Chart(title: "\(title): \(name)", xLabel: "epoch", yLabel: "share", series: validation, yRange: 0...1)
}

/// How much of the image the maps of several runs see, epoch by epoch: whether alternation widens them.
private func mapAreaCharts(_ runs: [(name: String, run: RunFolder)]) -> [Chart] {
  let series = runs.enumerated().compactMap { index, run -> Chart.Series? in
    let lines = run.run.epochs.filter { $0.split == "valid" && $0.map_area != nil }
    guard !lines.isEmpty else { return nil }
    return Chart.Series(
      run.name, x: lines.map { Double($0.epoch) }, y: lines.map { $0.map_area ?? .nan },
      Chart.palette[index % Chart.palette.count])
  }
  guard !series.isEmpty else { return [] }
  return [
    Chart(
      title: "Map area on validation images", xLabel: "epoch", yLabel: "mean share of the map above 1/2",
      series: series,
      yRange: 0...1)
  ]
}

/// The mean of each epoch's steps.
private func means(_ lines: [RunFolder.Line], _ value: KeyPath<RunFolder.Line, Double?>) -> (x: [Double], y: [Double]) {
  let byEpoch = Dictionary(grouping: lines, by: \.epoch).sorted { $0.key < $1.key }
    .map { epoch, lines in (Double(epoch), lines.compactMap { $0[keyPath: value] }) }.filter { !$0.1.isEmpty }
  return (byEpoch.map(\.0), byEpoch.map { $0.1.reduce(0, +) / Double($0.1.count) })
}

/// Charts as data URIs of SVG; nil where there is none.
public func chartSources(_ charts: [Chart]) throws -> [[String: String]]? {
  guard !charts.isEmpty else { return nil }
  return try charts.map { chart in
    let svg = Data(try chart.canvas().svg().utf8).base64EncodedString()
    return ["name": chart.title, "source": "data:image/svg+xml;base64,\(svg)"]
  }
}

private func dataURI(_ image: RGBImage) throws -> String {
  "data:image/png;base64," + Data(try encodePNG(image)).base64EncodedString()
}
