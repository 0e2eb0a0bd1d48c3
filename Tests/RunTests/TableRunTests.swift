import Foundation
import TestSupport
import Testing

/// `ala table` as users run it, on a small synthetic set.

private struct TableBench {
  let bench: TrainingBench
  var root: String { bench.folder.path }

  /// - Parameter rows: of two seeds.
  init(rows: String, more: String = "") throws {
    bench = try TrainingBench(
      lanes: 4, cache: "shared",
      extra: """
        evaluation: {steps: 4}
        rise: {masks: 20}
        table: {rows: \(rows), seeds: [3, 5], limit: 10\(more)}
        """)
  }

  func table(
    to out: String, ranks: Int = 1, _ arguments: [String] = [], whileRunning: ((Int32) -> Void)? = nil
  ) throws -> ProcessResult {
    let all =
      [
        "table", "--config", "\(root)/c.yaml", "--set", "training.epochs=1", "--threads", "1", "--out",
        "\(root)/\(out)",
      ]
      + ["--set", "cache.dir=\(root)/\(out)-cache"] + arguments
    return ranks == 1
      ? try run(bench.program, all, whileRunning: whileRunning)
      : try mpirun(ranks: ranks, bench.program, all, whileRunning: whileRunning)
  }

  static let names = [
    "table.md", "table.csv", "table.tex", "table.json", "table.html", "figure.png", "plan.json",
  ]

  /// The table's files.
  func files(_ out: String) -> [String: Data] {
    Dictionary(
      uniqueKeysWithValues: Self.names.map {
        ($0, FileManager.default.contents(atPath: "\(root)/\(out)/\($0)") ?? Data())
      })
  }

  func json(_ out: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: files(out)["table.json"] ?? Data()) as? [String: Any] ?? [:]
  }

  func row(_ name: String, of out: String) throws -> [String: Any] {
    let rows = try json(out)["rows"] as? [[String: Any]] ?? []
    return try #require(rows.first { $0["name"] as? String == name })
  }

  func figure(_ key: String, _ row: String, of out: String) throws -> [String: Any] {
    let figures = try self.row(row, of: out)["figures"] as? [String: Any] ?? [:]
    return try #require(figures[key] as? [String: Any])
  }
}

@Test func aTableIsTheSameAtAnyNumberOfRanksAndAlsoWhereItWasKilledAndWentOn() throws {
  let bench = try TableBench(rows: "[cam, rise, iv]")
  for ranks in [1, 2, 4] {
    let result = try bench.table(to: "r\(ranks)", ranks: ranks)
    #expect(result.code == 0, "\(result.errors)")
  }
  let expected = bench.files("r1")
  for name in TableBench.names {
    #expect(expected[name]?.isEmpty == false, "\(name)")
    #expect(bench.files("r2")[name] == expected[name] && bench.files("r4")[name] == expected[name], "\(name)")
  }

  // Killed while it trains, interrupted, and gone on.
  func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(bench.root)/parts/\(path)") }
  func wait(for path: String) { for _ in 0..<2000 where !isThere(path) { usleep(5_000) } }
  _ = try bench.table(to: "parts") { process in
    wait(for: "runs/iv/3/metrics.jsonl")
    kill(process, SIGKILL)
  }
  // Who looks on and the plan count alike, the cache that was made among them.
  let seen = try run(bench.bench.program, ["watch", "\(bench.root)/parts", "--once"])
  let told = try bench.table(to: "parts", ["--dry-run"])
  for (output, words) in [(seen.output, "2 of 12 stages done"), (told.output, "2 of 12 stages are done")] {
    #expect(output.contains(words), "\(seen.output) \(told.output)")
  }
  let interrupted = try bench.table(to: "parts", ranks: 2) { process in
    wait(for: "runs/cam/3/test/summary.json")
    kill(process, SIGUSR1)
  }
  #expect(interrupted.code == 75 && interrupted.errors.contains("run the same command again"), "\(interrupted.errors)")
  #expect(!isThere("table.json"))
  let last = try bench.table(to: "parts")
  #expect(last.code == 0 && !last.errors.contains("train cam, seed 3"), "\(last.errors)")
  for name in TableBench.names { #expect(bench.files("parts")[name] == expected[name], "\(name)") }

  // Done stages are skipped; what other settings touch is made anew.
  let again = try bench.table(to: "parts")
  #expect(again.code == 0 && again.output.contains("12 of 12 stages are done"), "\(again.output)")
  #expect(!again.errors.contains("evaluate"), "\(again.errors)")
  let quiet = try bench.table(to: "parts", ["--quiet"])
  #expect(quiet.code == 0 && quiet.output.isEmpty && quiet.errors.isEmpty, "\(quiet.output)\(quiet.errors)")
  let plan = try bench.table(to: "parts", ["--set", "training.lr=2e-3", "--dry-run"])
  #expect(plan.output.contains("4 of 12 stages are done"), "\(plan.output)")
  #expect(
    plan.output.contains("train iv, seed 3: was made from other settings or data, and begins anew: training.lr is"))
  let changed = try bench.table(to: "parts", ["--set", "rise.masks=30"])
  #expect(changed.output.contains("10 of 12 stages are done"), "\(changed.output)")
  #expect(try bench.figure("masks", "rise", of: "parts")["mean"] as? Double == 30)
}

@Test func threeRanksGiveTheTableOfOneToRounding() throws {
  let bench = try TableBench(rows: "[abn]")
  for ranks in [1, 3] { #expect(try bench.table(to: "r\(ranks)", ranks: ranks).code == 0) }
  for key in ["insertion", "deletion", "id", "mean_iou"] {
    let one = try #require(try bench.figure(key, "abn", of: "r1")["mean"] as? Double)
    let three = try #require(try bench.figure(key, "abn", of: "r3")["mean"] as? Double)
    #expect(abs(one - three) <= 1e-5, "\(key): \(one), \(three)")
  }
}

@Test func aRowThatFailsKeepsItsMessageAndTheOthersGoOn() throws {
  let bad = "{name: broken, set: {training.inject_nan_at_step: 1, training.max_skipped: 1}}"
  let bench = try TableBench(rows: "[\(bad), cam, gaussian]", more: ", classifier: cam")
  let result = try bench.table(to: "t", ranks: 2)
  #expect(result.code == 70 && result.errors.contains("train broken, seed 3"), "\(result.errors)")
  let seen = try run(bench.bench.program, ["watch", "\(bench.root)/t"])
  #expect(
    seen.code == 0
      && seen.output.contains(#/: not running, and not at its end; the same command goes on: .*mpirun .*-np 2 /#),
    "\(seen.output)")
  #expect(seen.output.contains(" table --config "), "\(seen.output)")
  #expect(seen.output.contains("10 of 14 stages done, 4 failed\n"), "\(seen.output)")
  #expect(seen.output.contains(/broken +failed +failed *\n/) && seen.output.contains(/gaussian +done +done *\n/))
  #expect(seen.output.contains("failed: train broken, seed 3: "), "\(seen.output)")
  let inspected = try run(bench.bench.program, ["inspect", "\(bench.root)/t"])
  #expect(inspected.code == 0 && inspected.output.contains("stages: 10 of 14 done, 4 failed\n"), "\(inspected.errors)")
  #expect(try run(bench.bench.program, ["inspect", "\(bench.root)/t/stages.json"]).output == inspected.output)
  let failure = try #require(try bench.row("broken", of: "t")["failure"] as? [String: Any])
  #expect(failure["code"] as? Int == 70 && (failure["message"] as? String)?.contains("not finite") == true)
  #expect((try bench.row("broken", of: "t")["seeds"] as? [Int])?.isEmpty == true)
  for row in ["cam", "gaussian"] {
    #expect(try bench.row(row, of: "t")["seeds"] as? [Int] == [3, 5])
    #expect(try bench.row(row, of: "t")["failure"] is NSNull)
  }
  let page = String(decoding: bench.files("t")["table.md"] ?? Data(), as: UTF8.self)
  #expect(page.contains("broken (failed)") && page.contains("## Failed rows"))
}

@Test func aStageWhoseFilesWereDamagedIsMadeAnewInTheSameBits() throws {
  let bench = try TableBench(rows: "[cam, gaussian]", more: ", classifier: cam")
  #expect(try bench.table(to: "t").code == 0)
  let whole = bench.files("t")
  let checkpoints = "\(bench.root)/t/runs/cam/3/checkpoints"
  for name in try FileManager.default.contentsOfDirectory(atPath: checkpoints) where name.hasSuffix(".h5") {
    try Data("no checkpoint".utf8).write(to: URL(fileURLWithPath: "\(checkpoints)/\(name)"))
  }
  let again = try bench.table(to: "t")
  #expect(
    again.code == 0 && again.output.contains("train cam, seed 3: its files are not what it made"), "\(again.errors)")
  #expect(bench.files("t") == whole)

  // What was edited by hand is not written over.
  let summary = "\(bench.root)/t/runs/gaussian/5/test/summary.json"
  try Data("{}".utf8).write(to: URL(fileURLWithPath: summary))
  let refused = try bench.table(to: "t")
  #expect(refused.code == 73 && refused.errors.contains("or delete \(bench.root)/t/runs/gaussian/5/test"))
  #expect(FileManager.default.contents(atPath: summary) == Data("{}".utf8))
}

@Test func figuresAreThoseOfTheEvaluationsAndTestsAreNullWhereThereAreNone() throws {
  let bench = try TableBench(rows: "[cam, gaussian, iv]")
  let result = try bench.table(to: "t", ["--set", "table.seeds=[4]"])
  #expect(result.code == 0, "\(result.errors)")
  let summary = try JSONSerialization.jsonObject(
    with: FileManager.default.contents(atPath: "\(bench.root)/t/runs/iv/4/test/summary.json") ?? Data())
  let figures = try #require(summary as? [String: Any])
  let own = try bench.figure("insertion", "iv", of: "t")
  let insertion = try #require(figures["insertion"] as? Double)
  #expect(own["mean"] as? Double == insertion && own["values"] as? [Double] == [insertion])
  #expect(own["sd"] is NSNull && own["p_welch"] is NSNull && own["best_baseline"] as? String == "cam")
  #expect(own["p_bootstrap"] as? Double != nil && own["p_bootstrap_holm"] as? Double != nil)
  let iou = try bench.figure("mean_iou", "iv", of: "t")
  #expect(iou["mean"] as? Double == (figures["mean_iou"] as? [String: Double])?["valid"])
  #expect(try bench.figure("insertion", "cam", of: "t")["p_bootstrap"] is NSNull)
  #expect(try bench.figure("map_area", "iv", of: "t")["best_baseline"] is NSNull)
  let all = try bench.json("t")
  #expect(all["images"] as? Int == 10 && all["masks"] as? Int == 10 && all["rule"] as? String == "valid")
  let published = try bench.row("iv", of: "t")["published"] as? [String: [String: Double]]
  #expect(published?["mean_iou"] == ["mean": 0.693, "sd": 0.007])
  #expect(try bench.row("cam", of: "t")["published"] is NSNull)
}

@Test func aDryRunTellsThePlanAndStartsNothing() throws {
  let bench = try TableBench(rows: "[cam, iv, i]")
  let result = try bench.table(to: "t", ranks: 2, ["--dry-run"])
  #expect(result.code == 0 && result.output.contains("row i: method ala, of network i"), "\(result.output)")
  #expect(
    result.output.contains("network i: lattice") && result.output.contains("reads h0, h2, runs blocks 3 to 4 again"))
  #expect(result.output.contains("0 of 14 stages are done"), "\(result.output)")
  let made = try FileManager.default.contentsOfDirectory(atPath: "\(bench.root)/t")
  #expect(made.sorted() == [".ala-made-table", "plan.json"])
  try result.output.write(toFile: "\(bench.root)/told.yaml", atomically: true, encoding: .utf8)
  let read = try run(bench.bench.program, ["config", "--config", "\(bench.root)/told.yaml"])
  #expect(read.code == 0, "a dry run's output reads back: \(read.errors)")
  let printed = try bench.table(to: "t", ["--dry-run", "--json"])
  #expect(try Data(printed.output.utf8) == Data(contentsOf: URL(fileURLWithPath: "\(bench.root)/t/plan.json")))
}

@Test func aDryRunBesideARunningTableWaitsForNothingAndLeavesItsFolderAlone() throws {
  let bench = try TableBench(rows: "[fcam]")
  func files() -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(bench.root)/t")) ?? []).sorted()
  }
  var plans: [ProcessResult?] = []
  var lists: [[String]] = []
  let result = try bench.table(to: "t", ["--set", "training.epochs=60", "--set", "training.patience=0"]) { process in
    for _ in 0..<4000 where !FileManager.default.fileExists(atPath: "\(bench.root)/t/runs/cam/3/metrics.jsonl") {
      usleep(5_000)
    }
    lists.append(files())
    for ranks in [1, 2] { plans.append(try? bench.table(to: "t", ranks: ranks, ["--dry-run"])) }
    lists.append(files())
    kill(process, SIGUSR1)
  }
  #expect(result.code == 75, "the table was still at work: \(result.errors)")
  for plan in plans {
    #expect(plan?.code == 0 && plan?.output.contains("network fcam: fcam") == true, "\(plan?.errors ?? "")")
    #expect(plan?.errors.contains("waiting") == false, "\(plan?.errors ?? "")")
  }
  #expect(lists.count == 2 && lists[0] == lists[1], "\(lists)")
}

@Test func rowsOfEqualSettingsShareANetworkAndRowsThatCanAreOfOneCache() throws {
  let bench = try TableBench(
    rows: """
      [{name: gabn, method: gradcam, set: {model.kind: abn}}, {name: ab, method: abn}, rise, iii,
       {name: same, set: {training.aea: false}}, {name: low, set: {lora.blocks: [1]}},
       {name: more, method: rise, set: {rise.masks: 30}}, {name: dec, method: fcam, set: {fcam.widths: [4]}}]
      """)
  let result = try bench.table(to: "t", ["--dry-run", "--json"])
  #expect(result.code == 0, "\(result.errors)")
  let plan = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any]
  let rows = plan?["rows"] as? [[String: String]] ?? []
  #expect(rows.map { $0["network"] } == ["abn", "abn", "iv", "iii", "iii", "low", "iv", "dec"])
  let networks = plan?["networks"] as? [[String: Any]] ?? []
  #expect(networks.map { $0["name"] as? String } == ["abn", "iv", "iii", "low", "cam", "dec"])
  #expect(networks.last?["explains"] as? String == "cam")
  let caches = plan?["caches"] as? [[String: Any]] ?? []
  #expect(caches.map { $0["networks"] as? [String] } == [["abn", "iv", "iii", "cam", "dec"], ["low"]])
  #expect(caches.map { $0["layers"] as? [Int] } == [[0, 2], [0]])
}

@Test func whatATableCannotBeMadeOfIsRefusedBeforeAnythingStarts() throws {
  let bench = try TableBench(rows: "[iv]")
  func refused(_ code: Int32, _ words: String, _ arguments: [String]) throws {
    let result = try bench.table(to: "bad", arguments)
    #expect(result.code == code && result.errors.contains(words), "\(arguments): \(result.errors)")
    #expect(!FileManager.default.fileExists(atPath: "\(bench.root)/bad/runs"), "\(arguments)")
  }
  for (setting, words) in [
    ("table.rows=[iv, v]", "there is no row \"v\""),
    ("table.rows=[{name: x, method: gradcamm}]", "row x: --method gradcamm: there is no such method"),
    ("table.rows=[{name: x, set: {side.widht: 3}}]", "there is no setting side.widht; the nearest is side.width"),
    ("table.rows=[{name: x, set: {side.width: -3}}]", "side.width is \"-3\"; expected"),
    ("table.rows=[{name: x, set: {side.heads: 7}}]", "side.heads is 7; expected a divisor"),
    ("table.rows=[{name: x, set: {lora.blocks: [9]}}]", "row x: "),
    ("table.rows=[{name: x, set: {side.widht: 3}}]", "row x: table.rows: set: there is no setting"),
    ("table.rows=[{name: x, method: ala, set: {model.kind: abn}}]", "row x: method ala explains a network of kind"),
    ("table.rows=[iv, {name: x, method: 'randomised:ala', set: {model: {kind: cam}}}]", "row x: method ala explains"),
    ("table.rows=[{name: x, method: 'randomised:cam', set: {model.kind: fcam}}]", "row x: method cam explains"),
    ("table.rows=[{name: x, method: gradcam, set: {model.kind: fcam}}]", "row x: method gradcam needs gradients"),
    ("table.rows=[{name: x, set: {run.seed: 3}}]", "run.seed is the same for all rows"),
    ("table.rows=[iv, iv]", "names iv twice"), ("table.rows=[]", "at least one row"),
    ("table.seeds=[1, 1]", "each seed once"), ("table.seeds=[]", "at least one seed"),
    ("table.classifier=rise", "table.classifier is rise; expected a row that trains a network"),
  ] {
    try refused(78, words, ["--set", setting])
  }
  for (row, base) in [("i", "lora.blocks=[]"), ("ii", "side.fusion=[]"), ("iii", "training.aea=false")] {
    try refused(78, "there is nothing to ablate", ["--set", "table.rows=[\(row)]", "--set", base])
  }
  try refused(78, "model.kind is cam; expected lattice", ["--set", "model.kind=cam"])

  // No class may be without images, and some must validate.
  let data = "\(bench.root)/data"
  let images = try String(contentsOfFile: "\(data)/images.txt", encoding: .utf8)
  let classes = try String(contentsOfFile: "\(data)/classes.txt", encoding: .utf8)
  try (classes + "9 empty\n").write(toFile: "\(data)/classes.txt", atomically: true, encoding: .utf8)
  try refused(65, "class 9 empty has no image", [])
  try classes.write(toFile: "\(data)/classes.txt", atomically: true, encoding: .utf8)
  let split = try String(contentsOfFile: "\(data)/train_test_split.txt", encoding: .utf8).split(separator: "\n")
  // The first five of each class's images train, all others test.
  let marked = split.enumerated().map { index, line in "\(line.split(separator: " ")[0]) \(index % 24 < 5 ? 1 : 0)" }
  #expect(images.split(separator: "\n").count == marked.count)
  try (marked.joined(separator: "\n") + "\n").write(
    toFile: "\(data)/train_test_split.txt", atomically: true, encoding: .utf8)
  try refused(78, "there is no validation split", [])
}
