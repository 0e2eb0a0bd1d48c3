import Digests
import Files
import Foundation
import TestSupport
import Testing

/// No command replaces a file that it didn't make, or that it reads.

@Test func aSyntheticSetIsMadeAnewButNeverAmongFilesOfOthers() throws {
  let folder = try TemporaryFolder()
  let out = "\(folder.path)/data"
  func synth(_ classes: String, _ flags: [String] = []) throws -> ProcessResult {
    try run(
      builtProgram("ala"),
      ["synth", "--out", out, "--classes", classes, "--images-per-class", "2", "--size", "32"] + flags)
  }
  func names() throws -> Set<String> {
    Set(FileManager.default.enumerator(atPath: out)?.compactMap { $0 as? String } ?? [])
  }
  #expect(try synth("3").code == 0)
  let sums = try run("/usr/bin/sha256sum", ["-c", "--quiet", ".ala-made-synth"], in: out)
  #expect(sums.code == 0, "\(sums.output)")
  let fewer = try synth("2")
  #expect(fewer.code == 0, "\(fewer.errors)")
  #expect(try !names().contains { $0.contains("003.Synthetic_003") })

  try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(out)/notes.txt"))
  let stranger = try synth("2")
  #expect(stranger.code == 73 && stranger.errors.contains("notes.txt") && stranger.errors.contains("--overwrite"))
  try FileManager.default.removeItem(atPath: "\(out)/notes.txt")
  try Data("1 mine\n".utf8).write(to: URL(fileURLWithPath: "\(out)/classes.txt"))
  #expect(try synth("2").code == 73)
  #expect(FileManager.default.contents(atPath: "\(out)/classes.txt") == Data("1 mine\n".utf8))
  #expect(try synth("2", ["--overwrite"]).code == 0)

  // What a killed call has left is its own.
  try FileManager.default.removeItem(atPath: "\(out)/images.txt")
  let list = try String(contentsOfFile: "\(out)/.ala-made-synth", encoding: .utf8)
  let dots = String(repeating: ".", count: 64)
  let unfinished = list.split(separator: "\n").map { dots + $0.dropFirst(64) }.joined(separator: "\n")
  try unfinished.write(toFile: "\(out)/.ala-made-synth", atomically: true, encoding: .utf8)
  try Data("half".utf8).write(to: URL(fileURLWithPath: "\(out)/encoder.safetensors"))
  try Data("half".utf8).write(to: URL(fileURLWithPath: "\(out)/encoder.safetensors.tmp-1"))
  #expect(try synth("2").code == 0)
}

@Test func homeIsFoundInFlagsThatShellsLeaveAlone() throws {
  let folder = try TemporaryFolder()
  let made = try run(
    builtProgram("ala"), ["synth", "--out=~/made", "--classes", "1", "--images-per-class", "2", "--size", "16"],
    environment: ["HOME": folder.path])
  #expect(made.code == 0 && FileManager.default.fileExists(atPath: "\(folder.path)/made/images.txt"), "\(made.errors)")
}

@Test func whatInspectCannotOpenHasAReason() throws {
  let folder = try TemporaryFolder()
  func inspect(_ path: String) throws -> ProcessResult { try run(builtProgram("ala"), ["inspect", path]) }
  let absent = try inspect("\(folder.path)/absent")
  #expect(absent.code == 66 && absent.errors.contains("No such file or directory"))
  let directory = try inspect(folder.path)
  #expect(directory.code == 65 && directory.errors.contains("is a folder"))
  try Data().write(to: URL(fileURLWithPath: "\(folder.path)/empty"))
  let empty = try inspect("\(folder.path)/empty")
  #expect(empty.code == 65 && empty.errors.contains("is empty"))
}

@Test func aDryRunOfExportWritesNothing() throws {
  let folder = try TemporaryFolder()
  let (root, program) = (folder.path, builtProgram("ala"))
  #expect(
    try run(program, ["synth", "--out", "\(root)/data", "--classes", "1", "--images-per-class", "4", "--size", "16"])
      .code == 0)
  try "data: {root: \(root)/data}\nencoder: {weights: \(root)/data/encoder.safetensors}"
    .write(toFile: "\(root)/c.yaml", atomically: true, encoding: .utf8)
  let dry = try run(
    program, ["export", "--config", "\(root)/c.yaml", "--checkpoint", "\(root)/x", "--out", "\(root)/o", "--dry-run"])
  #expect(dry.code == 0 && dry.output.contains("training:"), "\(dry.errors)")
  #expect(!FileManager.default.fileExists(atPath: "\(root)/o"))
}

@Test func noCommandTakesWhatAnotherOneOrAUserHasMadeForItsOwn() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  func write(_ text: String, _ path: String) throws {
    let place = URL(fileURLWithPath: "\(root)/\(path)")
    try FileManager.default.createDirectory(at: place.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: place)
  }
  func text(_ path: String) -> String? { try? String(contentsOfFile: "\(root)/\(path)", encoding: .utf8) }
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)

  // An evaluation beside a data set that the program has made leaves it whole.
  func evaluate(_ out: String, _ more: [String] = []) throws -> ProcessResult {
    try bench.ala(
      "evaluate", run: "run",
      ["--checkpoint", "\(root)/run/checkpoints/last.h5", "--out", "\(root)/\(out)", "--set", "evaluation.steps=0"]
        + more)
  }
  let before = Set(FileManager.default.enumerator(atPath: "\(root)/data")?.compactMap { $0 as? String } ?? [])
  #expect(try evaluate("data").code == 0)
  let after = Set(FileManager.default.enumerator(atPath: "\(root)/data")?.compactMap { $0 as? String } ?? [])
  #expect(before.count > 100 && before.isSubset(of: after))

  // What one command has made another does not replace.
  let picture = "\(root)/data/images/001.Synthetic_001/Synthetic_001_0001.png"
  let explained = try run(
    bench.program,
    ["explain", picture, "--checkpoint", "\(root)/run/checkpoints/last.h5", "--out", "\(root)/data"])
  #expect(explained.code == 73 && explained.errors.contains("explanations.h5"), "\(explained.errors)")

  // Folders with a user's files under the names that runs and caches use.
  for name in ["config.yaml", "log.txt", "metrics.jsonl", "split.json", "checkpoints/last.h5"] {
    let folder = "user-\((name as NSString).lastPathComponent)"
    try write("mine", "\(folder)/\(name)")
    let result = try bench.ala("train", run: folder, ["--stop-after-steps", "1"])
    #expect(result.code == 73 && result.errors.contains(name), "\(name): \(result.errors)")
    #expect(text("\(folder)/\(name)") == "mine", "\(name)")
  }
  for name in ["index.h5", "shard-00007-of-00009.h5"] {
    try write("mine", "cache-\(name)/\(name)")
    let result = try bench.ala("cache", run: "run", ["--set", "cache.dir=\(root)/cache-\(name)"])
    #expect(result.code == 73 && text("cache-\(name)/\(name)") == "mine", "\(name): \(result.errors)")
  }

  // A run and a cache that have lost their lock files in a copy are still known.
  unlink("\(root)/run/.lock")
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)

  // A page is never written over what it is made of.
  let report = try run(
    bench.program, ["report", "\(root)/run", "--out", "\(root)/run/metrics.jsonl", "--overwrite"])
  #expect(report.code == 73 && text("run/metrics.jsonl")?.contains("\"event\"") == true, "\(report.errors)")
  for _ in 0..<2 {
    #expect(try run(bench.program, ["report", "\(root)/run", "--out", "\(root)/run/report.html"]).code == 0)
  }
}

/// By their names, files' SHA-256.
private func sums(of folder: String) throws -> [String: String] {
  let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
  return Dictionary(uniqueKeysWithValues: names.map { ($0, (try? SHA256.ofFile("\(folder)/\($0)")) ?? "folder") })
}

@Test func overwritingReplacesNoPartOfWhatAnotherCommandHasMade() throws {
  let bench = try TrainingBench(lanes: 4, cache: "yes")
  let root = bench.folder.path
  try FileManager.default.createDirectory(atPath: "\(root)/pictures", withIntermediateDirectories: true)
  for name in ["a", "b"] {
    try FileManager.default.copyItem(
      atPath: "\(root)/data/images/001.Synthetic_001", toPath: "\(root)/pictures/\(name)")
  }
  let picture = "\(root)/pictures/a/Synthetic_001_0001.png"
  #expect(try bench.ala("cache", run: "run").code == 0)
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  #expect(try run(bench.program, ["import", "\(root)/pictures", "--out", "\(root)/imported"]).code == 0)
  let last = ["--checkpoint", "\(root)/run/checkpoints/last.h5"]
  #expect(try run(bench.program, ["explain", picture, "--out", "\(root)/explained"] + last).code == 0)
  let table = bench.folder.path + "/table"
  try FileManager.default.createDirectory(atPath: "\(table)/runs/iv/0", withIntermediateDirectories: true)
  for (name, text) in [
    (".ala-made-table", String(repeating: "0", count: 64) + "  table.md\n"), ("table.md", "x"), ("log.txt", "x"),
    ("runs/iv/0/.train.json", "x"),
  ] {
    try text.write(toFile: "\(table)/\(name)", atomically: true, encoding: .utf8)
  }
  let shard = try #require(sums(of: "\(root)/cache").keys.first { $0.hasPrefix("shard-") })
  let event = try #require(sums(of: "\(root)/run/tensorboard").keys.first)
  let before = try sums(of: root)

  let parts = [
    ("run", "split.json", "a run"), ("run", "config.yaml", "a run"), ("run", "checkpoints/last.h5", "a run"),
    ("run", "tensorboard/\(event)", "a run"), ("run", ".lock", "a run"), ("run/checkpoints", "../log.txt", "a run"),
    ("cache", "index.h5", "a feature cache"), ("cache", shard, "a feature cache"),
    ("table", "table.md", "a table"), ("table", "log.txt", "a table"), ("table", "runs/iv/0/.train.json", "a table"),
    ("imported", "images.txt", "an imported data set"), ("imported", ".ala-made-import", "an imported data set"),
    ("imported", "images/a/Synthetic_001_0001.png", "an imported data set"),
    ("data", "classes.txt", "a synthetic data set"), ("data", "encoder.safetensors", "a synthetic data set"),
    ("explained", "explanations.h5", "explanations"),
  ]
  for (folder, name, kind) in parts {
    for command in [["export"] + last, ["report", "\(root)/explained"], ["watch", "\(root)/run", "--once"]] {
      let path = "\(root)/\(folder)/\(name)"
      let result = try run(bench.program, command + ["--out", path, "--overwrite"])
      #expect(result.code == 73 && result.errors.contains(path), "\(command[0]) \(path): \(result.errors)")
      // Some are what the command reads, of which it is said first.
      #expect(
        result.errors.contains("is part of \(kind) (") || result.errors.contains("this command reads"),
        "\(command[0]) \(path): \(result.errors)")
    }
  }
  // Whole folders: by their names alone nothing would be replaced.
  for (folder, kind) in [
    ("run", "a run"), ("run/checkpoints", "a run"), ("cache", "a feature cache"), ("table", "a table"),
    ("imported", "an imported data set"), ("imported/images/c", "an imported data set"),
  ] {
    let made = try run(
      bench.program,
      ["synth", "--out", "\(root)/\(folder)", "--classes", "1", "--images-per-class", "2", "--overwrite"])
    #expect(made.code == 73 && made.errors.contains("is \(kind), or part of one"), "\(folder): \(made.errors)")
    guard folder != "table" else { continue }
    let compared = try bench.ala("table", run: "run", ["--out", "\(root)/\(folder)", "--overwrite", "--dry-run"])
    #expect(compared.code == 73 && compared.errors.contains(kind), "\(folder): \(compared.errors)")
  }
  let imported = try run(
    bench.program, ["import", "\(root)/pictures", "--out", "\(root)/run", "--overwrite"])
  #expect(imported.code == 73, "\(imported.errors)")
  let explained = try run(
    bench.program, ["explain", picture, "--out", "\(root)/run", "--overwrite", "--top", "1"] + last)
  #expect(explained.code == 0, "\(explained.errors)")
  let after = try sums(of: root)
  for (name, sum) in before { #expect(after[name] == sum, "\(name) is another") }

  // A user's own file is replaced, wherever it lies; so is what the same command has made.
  try "mine".write(toFile: "\(root)/run/adapter.safetensors", atomically: true, encoding: .utf8)
  let mine = ["export", "--out", "\(root)/run/adapter.safetensors"] + last
  #expect(try run(bench.program, mine).code == 73)
  #expect(try run(bench.program, mine + ["--overwrite"]).code == 0)
  #expect(try run(bench.program, mine).code == 0)
  #expect(
    try run(bench.program, ["explain", picture, "--out", "\(root)/explained", "--overwrite"] + last).code == 0)
}

@Test func namesWithOddCharactersAreKnownAgain() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let picture = "\(root)/data/images/001.Synthetic_001/Synthetic_001_0001.png"
  let names = ["a\nb.png", "a,\"b.png", "back\\slash.png"]
  for name in names { try FileManager.default.copyItem(atPath: picture, toPath: "\(root)/\(name)") }
  for _ in 0..<2 {
    let result = try run(
      bench.program,
      ["explain"] + names.map { "\(root)/\($0)" }
        + ["--checkpoint", "\(root)/run/checkpoints/last.h5", "--out", "\(root)/out"])
    #expect(result.code == 0 && result.output.contains("3 images explained"), "\(result.errors)")
  }
  let sums = try run("/usr/bin/sha256sum", ["-c", "--quiet", ".ala-made-explain"], in: "\(root)/out")
  #expect(sums.code == 0, "\(sums.output)")
}

@Test func aPipeInPlaceOfAnImageIsRefusedAtOnce() throws {
  let bench = try TrainingBench()
  let picture = "\(bench.folder.path)/data/images/001.Synthetic_001/Synthetic_001_0001.png"
  unlink(picture)
  try #require(mkfifo(picture, 0o644) == 0)
  let result = try run(
    bench.program, ["train", "--config", "\(bench.folder.path)/c.yaml", "--set", "run.dir=\(bench.folder.path)/run"],
    seconds: 30)
  #expect(
    result.code == 65 && result.errors.contains("is a FIFO; expected a regular file"), "\(result.code) \(result.errors)"
  )
}
