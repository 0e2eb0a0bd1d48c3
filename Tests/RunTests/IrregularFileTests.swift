import Files
import Foundation
import TestSupport
import Testing

/// Something else in the place of a file of the program's is named at once, never waited for, read without end or replaced.

/// A run of one step with an evaluation of it, in which files give way to FIFOs.
private struct FIFOBench {
  let bench: TrainingBench
  var root: String { bench.folder.path }

  init() throws {
    bench = try TrainingBench(lanes: 4)
    let trained = try bench.ala("train", run: "run", ["--stop-after-steps", "1"])
    try #require(trained.code == 0, "\(trained.errors)")
    let judged = try evaluate()
    try #require(judged.code == 0, "\(judged.errors)")
  }

  func ala(_ arguments: [String]) throws -> ProcessResult { try run(bench.program, arguments, seconds: 30) }

  func train(_ more: [String] = []) throws -> ProcessResult {
    try ala(["train", "--config", "\(root)/c.yaml", "--set", "run.dir=\(root)/run", "--stop-after-steps", "2"] + more)
  }

  func evaluate(_ more: [String] = []) throws -> ProcessResult {
    try ala(
      [
        "evaluate", "--config", "\(root)/c.yaml", "--checkpoint", "\(root)/run/checkpoints/last.h5", "--out",
        "\(root)/run/test", "--limit", "3", "--set", "evaluation.steps=0",
      ] + more)
  }

  /// Calls a command while a FIFO is in a file's place, and expects it to be named.
  func expect(_ code: Int32, _ name: String, _ call: () throws -> ProcessResult) throws {
    let path = "\(root)/run/\(name)"
    try #require(rename(path, "\(root)/aside") == 0 && mkfifo(path, 0o644) == 0)
    let result = try call()
    #expect(
      result.code == code && result.errors.contains("\(path): is a FIFO; expected a regular file"),
      "\(name): \(result.code) \(result.errors)")
    #expect(isPipe(path), "\(name)")
    try #require(rename("\(root)/aside", path) == 0)
  }
}

@Test func aFIFOInPlaceOfAFileOfARunOrAnEvaluationIsNamedAndNotWaitedFor() throws {
  let bench = try FIFOBench()
  let run = "\(bench.root)/run"
  let evaluated = ["summary.json", "per_image.csv", "explanations.h5", "cost.json"]
  func report(_ folder: String) throws -> ProcessResult {
    try bench.ala(["report", folder, "--out", "\(bench.root)/report.html"])
  }
  for name in ["metrics.jsonl", "config.yaml", "log.txt"] { try bench.expect(65, name) { try report(run) } }
  for name in evaluated { try bench.expect(65, "test/\(name)") { try report("\(run)/test") } }
  for name in ["metrics.jsonl", "config.yaml", "log.txt", "split.json", ".lock"] {
    try bench.expect(65, name) { try bench.ala(["watch", run, "--once"]) }
    try bench.expect(73, name) { try bench.train() }
  }
  for name in evaluated {
    try bench.expect(73, "test/\(name)") { try bench.evaluate(["--overwrite"]) }
  }
  let whole = try bench.train()
  #expect(whole.code == 0, "\(whole.errors)")
}

@Test func aPageIsWrittenToARegularFileAlone() throws {
  let bench = try FIFOBench()
  let (fifo, device) = ("\(bench.root)/fifo", "\(bench.root)/device")
  try #require(mkfifo(fifo, 0o644) == 0 && symlink("/dev/zero", device) == 0)
  for (path, kind) in [(fifo, "a FIFO"), (device, "a device")] {
    for flags in [[], ["--overwrite"]] {
      let result = try bench.ala(["report", "\(bench.root)/run", "--out", path] + flags)
      #expect(
        result.code == 73 && result.errors.contains("\(path): is \(kind); expected a regular file"),
        "\(result.code) \(result.errors)")
      #expect(irregularity(of: path) != nil)
    }
  }
}

@Test func weightsThatCannotBeReadAreRefusedBeforeTheyAreReadWhole() throws {
  let bench = try TrainingBench(cache: "yes")
  let root = bench.folder.path
  let index = "\(root)/model.safetensors.index.json"
  try #"{"weight_map": {"x": "a.safetensors"}}"#.write(toFile: index, atomically: true, encoding: .utf8)
  try #require(mkfifo("\(root)/a.safetensors", 0o644) == 0)
  // A header of 2^37 bytes, in a file that would take minutes to read.
  let lying = "\(root)/lying.safetensors"
  try Data([0, 0, 0, 0, 32, 0, 0, 0]).write(to: URL(fileURLWithPath: lying))
  try #require(truncate(lying, 1 << 38) == 0)
  for (weights, words) in [
    (index, "\(root)/a.safetensors: is a FIFO"), (lying, "\(lying): not a sound safetensors file"),
    ("/dev/zero", "/dev/zero: is a device"),
  ] {
    for command in [["cache"], ["cache", "--dry-run"], ["train"], ["train", "--dry-run"]] {
      let result = try run(
        bench.program, command + ["--config", "\(root)/c.yaml", "--set", "encoder.weights=\(weights)"], seconds: 30)
      #expect(result.code == 65 && result.errors.contains(words), "\(command): \(result.code) \(result.errors)")
    }
  }
}
