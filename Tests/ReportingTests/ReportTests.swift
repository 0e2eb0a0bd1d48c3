import Metrics
import Failures
import Foundation
import Reporting
import TestSupport
import Testing

/// Folders as a run and its evaluation leave them, small and written by hand.
private struct Folders {
  let folder: TemporaryFolder
  var root: String { folder.path }

  init(className: String = "Cardinal") throws {
    folder = try TemporaryFolder()
    try write(
      "run/metrics.jsonl",
      [
        #"{"event":"step","epoch":1,"step":1,"phase":"alpha","loss":2.0,"loss_pb":1.9,"loss_ab":1.5,"lr":0.1,"grad_norm":1,"samples_per_s":10,"gradient_bytes":4,"other_bytes":4}"#,
        #"{"event":"epoch","epoch":1,"phase":"alpha","split":"train","loss":2.0,"accuracy":0.5,"model_sha256":"aa"}"#,
        #"{"event":"epoch","epoch":1,"phase":"alpha","split":"valid","accuracy":0.75,"loss":1.0,"iou":null}"#,
        #"{"event":"step","epoch":2,"step":2,"phase":"ones","loss":1.0,"loss_pb":1.0,"loss_ab":null,"lr":0.1,"grad_norm":1,"samples_per_s":20,"gradient_bytes":4,"other_bytes":4}"#,
      ].joined(separator: "\n") + "\n{\"event\":\"st")
    try write("run/config.yaml", "run:\n  dir: \"x\"\n  seed: 7\n")
    var context = EvaluationContext()
    context.modelSHA256 = "aa"
    context.side = 32
    context.classes = [EvaluationSummary.ClassName(id: 17, name: className)]
    context.settings = ["method": "ala", "split": "test", "iou_rule": "valid", "data_root": "\(root)/nowhere"]
    let record = ImageRecord(imageID: 3, label: 17, predicted: 17, probability: 0.9)
    let summary = EvaluationSummary([record], validThreshold: nil, context)
    try write("test/summary.json", String(decoding: try JSONEncoder().encode(summary), as: UTF8.self))
    try write("test/per_image.csv", EvaluationSummary.csv([record], validThreshold: nil, subset: ""))
  }

  func write(_ path: String, _ text: String) throws {
    let full = "\(root)/\(path)"
    try FileManager.default.createDirectory(
      atPath: (full as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try text.write(toFile: full, atomically: true, encoding: .utf8)
  }
}

@Test func aReportOfARunFindsItsEvaluationAndFetchesNothing() throws {
  let folders = try Folders()
  let page = try renderReport(["\(folders.root)/run"])
  #expect(page.contains("1 evaluation") && page.contains("100.0%") && page.contains("75.0%"))
  #expect(page.contains("left out: mean IoU and PxAP: no image has a mask"))
  #expect(page.contains("the data set") && page.contains("cannot be read from here"))
  for word in ["src=\"http", "href=\"http", "<script", "@import", "url("] { #expect(!page.contains(word), "\(word)") }
}

@Test func severalRunsStandSideBySideWithTheirDifferingSettings() throws {
  let folders = try Folders()
  try FileManager.default.copyItem(atPath: "\(folders.root)/run", toPath: "\(folders.root)/other")
  try folders.write("other/config.yaml", "run:\n  dir: \"x\"\n  seed: 8\n")
  let page = try renderReport(["\(folders.root)/run", "\(folders.root)/other"])
  #expect(page.contains("2 runs") && page.contains("Where the runs differ") && page.contains("run.seed"))
}

/// The SVG of a chart of the page, and how many lines of a colour it has.
private func lines(_ page: String, _ title: String, colour: Int) throws -> Int {
  let index = try #require(page.range(of: "\" alt=\"\(title)\">")).lowerBound
  let start = try #require(page[..<index].range(of: "base64,", options: .backwards)).upperBound
  let svg = String(decoding: try #require(Data(base64Encoded: String(page[start..<index]))), as: UTF8.self)
  let rgb = [16, 8, 0].map { String(format: "%.8g%%", Double(colour >> $0 & 0xFF) / 2.55) }.joined(separator: ",")
  return svg.components(separatedBy: "stroke:rgb(\(rgb))").count - 1
}

@Test func mapAreaOfSeveralRunsIsALineARunAndACascadeOneAnEvaluation() throws {
  let folders = try Folders()
  let title = "Map area on validation images"
  #expect(!(try renderReport(["\(folders.root)/run"])).contains(title))
  for (name, area) in [("iii", 0.2), ("iv", 0.6)] {
    try folders.write(
      "\(name)/metrics.jsonl",
      (1...3).map {
        #"{"event":"epoch","epoch":\#($0),"phase":"alpha","split":"valid","accuracy":0.5,"map_area":\#(area)}"#
      }.joined(separator: "\n") + "\n")
  }
  var context = EvaluationContext()
  context.modelSHA256 = "aa"
  context.side = 32
  context.cascade = CascadeSummary(
    subset: "2 of 9 images; seed 0",
    stages: [CascadeSummary.Stage("classifier", [0.5, nil]), CascadeSummary.Stage("block_1", [nil, nil])])
  let summary = EvaluationSummary([], validThreshold: nil, context)
  let data = try JSONEncoder().encode(summary)
  #expect(try JSONDecoder().decode(EvaluationSummary.self, from: data).cascade == context.cascade)
  try folders.write("cascade/summary.json", String(decoding: data, as: UTF8.self))
  let page = try renderReport(["iii", "iv", "cascade"].map { "\(folders.root)/\($0)" })
  // A line of the chart, and one of its legend.
  #expect(try lines(page, title, colour: 0x0072B2) == 2 && lines(page, title, colour: 0xD55E00) == 2)
  #expect(try lines(page, "Cascade of parameter randomisation", colour: 0x0072B2) == 2)
  #expect(summary.terminalLines.contains { $0.contains("without block_1: no image has one") })
}

@Test func evaluationsOfOneRunAreToldApart() throws {
  let folders = try Folders()
  try FileManager.default.copyItem(atPath: "\(folders.root)/test", toPath: "\(folders.root)/again")
  let page = try renderReport(["\(folders.root)/run"])
  #expect(page.contains("2 evaluations") && page.contains("ala, test (test)") && page.contains("ala, test (again)"))
  #expect(page.contains("Accuracy: ") && !page.contains("Accuracy and IoU"))
}

@Test func whatSeveralEvaluationsSayOfThemselvesStandsOnAPageOnce() throws {
  let folders = try Folders()
  try FileManager.default.copyItem(atPath: "\(folders.root)/test", toPath: "\(folders.root)/again")
  let page = try renderReport(["\(folders.root)/run"])
  let sentence = "no image has a mask"
  #expect(page.components(separatedBy: sentence).count == 2, "\(page)")
  #expect(page.contains(/ala, test \((again|test)\); ala, test \((again|test)\): left out/))
}

@Test func aSummaryBesideARunThatCannotBeReadIsNamedOnThePageAndInAWarning() throws {
  let folders = try Folders()
  let places = ["fifo", "gone", "torn", "run/folder"].map { "\(folders.root)/\($0)/summary.json" }
  try folders.write("torn/summary.json", "{\"accuracy\": 0.")
  for name in ["fifo", "gone", "run/folder/summary.json"] {
    try FileManager.default.createDirectory(atPath: "\(folders.root)/\(name)", withIntermediateDirectories: true)
  }
  try #require(mkfifo(places[0], 0o644) == 0 && symlink("nowhere", places[1]) == 0)
  // Of somebody else, and sound.
  try folders.write("others/summary.json", "{\"total\": 3}")
  try folders.write("list/summary.json", "[1, 2]")
  var warnings: [String] = []
  let page = try renderReport(["\(folders.root)/run"]) { warnings.append($0) }
  #expect(page.contains("1 evaluation"))
  let reasons = [
    "is a FIFO; expected a regular file", "is missing", "is no JSON", "is a folder; expected a regular file",
  ]
  #expect(warnings.count == places.count, "\(warnings)")
  for (place, reason) in zip(places, reasons) {
    #expect(warnings.contains { $0.hasPrefix("\(place): \(reason)") }, "\(warnings)")
    #expect(page.contains("left out: \(place): \(reason)"))
  }
}

@Test func namesAreEscaped() throws {
  let folders = try Folders(className: "<img src=x onerror=alert(1)>\"&")
  try folders.write("run/config.yaml", "run:\n  dir: \"<b>&\"\n")
  let page = try renderReport(["\(folders.root)/run"])
  #expect(!page.contains("<img src=x") && !page.contains("<b>") && page.contains("&lt;b&gt;&amp;"))
}

@Test func aRunWithoutEvaluationOrWithoutAStepStillHasAPage() throws {
  let folders = try Folders()
  try FileManager.default.removeItem(atPath: "\(folders.root)/test")
  #expect(try renderReport(["\(folders.root)/run"]).contains("No evaluation of these weights was found"))
  try folders.write("run/metrics.jsonl", "")
  #expect(try renderReport(["\(folders.root)/run"]).contains("</html>"))
}

@Test func whatIsNoRunOrIsBrokenIsNamed() throws {
  let folders = try Folders()
  func refusal(_ path: String) -> Failure? {
    do {
      _ = try renderReport(["\(folders.root)/\(path)"])
      return nil
    } catch { return error as? Failure }
  }
  #expect(refusal("nowhere")?.code == .missingInput && refusal("nowhere")?.message.contains("nowhere") == true)
  try folders.write("run/metrics.jsonl", "{}\n{\"event\":\"step\",\"epoch\":1,\"phase\":\"alpha\"}\n")
  #expect(refusal("run")?.code == .badData && refusal("run")?.message.contains("line 1") == true)
  try folders.write("test/summary.json", "{\"accuracy\": 1}")
  #expect(refusal("test")?.code == .badData && refusal("test")?.message.contains("summary.json") == true)
}

@Test(arguments: [0, -1, 4097, Int.max]) func aSummaryWhoseSideNoViewHasIsRefused(side: Int) throws {
  let folders = try Folders()
  let path = "\(folders.root)/test/summary.json"
  let summary = try String(contentsOfFile: path, encoding: .utf8)
  try folders.write("test/summary.json", summary.replacing("\"side\":32", with: "\"side\":\(side)"))
  do {
    _ = try renderReport(["\(folders.root)/test"])
    Issue.record("is taken")
  } catch let failure as Failure {
    #expect(
      failure.code == .badData && failure.message.contains("summary.json: side is \(side); expected"), "\(failure)")
  }
}
