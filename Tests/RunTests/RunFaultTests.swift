import Foundation
import Storage
import TestSupport
import Testing

/// What the built program does when the disk is full, numbers overflow, or a run begins or ends in an unusual way.

private struct FaultyRun {
  let folder: TemporaryFolder
  let program = builtProgram("ala")

  init() throws {
    folder = try TemporaryFolder()
    let made = try run(
      program, ["synth", "--out", "\(folder.path)/data", "--classes", "3", "--images-per-class", "12", "--size", "32"])
    try #require(made.code == 0, "\(made.errors)")
    try """
    run: {dir: \(folder.path)/run}
    data: {root: \(folder.path)/data}
    image: {size: 32}
    encoder: {weights: \(folder.path)/data/encoder.safetensors}
    lora: {blocks: [3], rank: 4}
    side: {width: 24, heads: 3, layers: 2, fusion: [0, 2]}
    perception: {channels: [16, 8]}
    training: {epochs: 4, batch: 4, lr: 1.0e-3}
    """.write(toFile: "\(folder.path)/c.yaml", atomically: true, encoding: .utf8)
  }

  func train(ranks: Int = 1, _ arguments: [String] = [], whileRunning: ((Int32) -> Void)? = nil) throws -> ProcessResult
  {
    let all = ["train", "--config", "\(folder.path)/c.yaml"] + arguments
    return try mpirun(ranks: ranks, program, all, whileRunning: whileRunning)
  }

  func steps() throws -> [Int] {
    try String(contentsOfFile: "\(folder.path)/run/metrics.jsonl", encoding: .utf8).split(separator: "\n").compactMap {
      let line = try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
      return line?["event"] as? String == "step" ? line?["step"] as? Int : nil
    }
  }
}

/// A file-size limit stands for the full disk: HDF5 meets it in the same calls.
@Test func aFullDiskIsToldOfOnceWithCode73AndTheSameCommandGoesOn() throws {
  let bench = try FaultyRun()
  #expect(try bench.train(["--stop-after-steps", "4"]).code == 0)
  let limited = try run(
    "/bin/bash",
    ["-c", "trap '' XFSZ; ulimit -f 200; exec \(bench.program) train --config \(bench.folder.path)/c.yaml"])
  #expect(limited.code == 73, "\(limited.code) \(limited.errors)")
  let lines = limited.errors.split(separator: "\n").filter { $0.hasPrefix("ala: error:") }
  #expect(
    lines.count == 1 && lines.first?.hasSuffix("step-000000008.h5: its end cannot be written: File too large") == true
      && !limited.errors.contains("crashed"))
  let names = try FileManager.default.contentsOfDirectory(atPath: "\(bench.folder.path)/run/checkpoints")
  #expect(Set(names) == ["step-000000004.h5", "last.h5", "best.h5"])
  #expect(try bench.train().code == 0)
}

@Test func aDiskThatIsFullInMidLineLeavesWholeLinesAndTheRunGoesOnBehindThem() throws {
  let bench = try FaultyRun()
  let long = ["--set", "training.epochs=20", "--set", "training.patience=0"]
  #expect(try bench.train(long + ["--stop-after-steps", "40"]).code == 0)
  let size = try FileManager.default.attributesOfItem(atPath: "\(bench.folder.path)/run/metrics.jsonl")[.size] as? Int
  let limited = try run(
    "/usr/bin/prlimit",
    ["--fsize=\((size ?? 0) + 100)", bench.program, "train", "--config", "\(bench.folder.path)/c.yaml"] + long)
  #expect(limited.code == 73 && limited.errors.contains("metrics.jsonl"), "\(limited.errors)")
  #expect(try bench.steps() == Array(1...40))
  #expect(try bench.train(long + ["--stop-after-steps", "5"]).code == 0)
  #expect(try bench.steps() == Array(1...45))
}

@Test func refusedUpdatesInARowEndTheRunWithCode70() throws {
  let bench = try FaultyRun()
  let result = try bench.train(
    ranks: 2, ["--set", "training.inject_nan_at_step=6", "--set", "training.max_skipped=1"])
  #expect(result.code == 70 && result.errors.contains("step-000000004.h5"), "\(result.errors)")
  // One rank speaks.
  #expect(result.errors.components(separatedBy: "the update is refused").count == 2)
}

@Test func aRunWhoseNumbersOverflowLeavesCheckpointsThatCanBeResumed() throws {
  let bench = try FaultyRun()
  let wild = ["--set", "training.lr=1000", "--set", "training.clip=0", "--set", "training.weight_decay=1000"]
  let result = try bench.train(wild + ["--set", "training.max_skipped=4"])
  #expect(result.code == 70, "\(result.code) \(result.errors)")
  let again = try bench.train(wild + ["--set", "training.max_skipped=4"])
  #expect(again.code == 70 && again.errors.contains("resuming from"), "\(again.code) \(again.errors)")
  let newest = try Checkpoint.read("\(bench.folder.path)/run/checkpoints/last.h5")
  #expect(newest.model.allSatisfy { $0.values.allSatisfy(\.isFinite) })
  let best = try JSONSerialization.jsonObject(with: Data((newest.text("best") ?? "").utf8)) as? [String: Any]
  #expect(best?["epoch"] as? Int == 1)
}

@Test func aRunThatStartsAnewForgetsTheFiguresOfTheOldOne() throws {
  let bench = try FaultyRun()
  #expect(try bench.train(["--stop-after-steps", "6"]).code == 0)
  #expect(try bench.train(["--resume", "never", "--stop-after-steps", "2"]).code == 0)
  #expect(try bench.steps() == [1, 2])
}

@Test func initOnARunThatGoesOnIsSaidToHaveNoEffect() throws {
  let bench = try FaultyRun()
  #expect(try bench.train(["--stop-after-steps", "3"]).code == 0)
  let weights = "\(bench.folder.path)/run/checkpoints/last.h5"
  let result = try bench.train(["--init", weights, "--stop-after-steps", "1"])
  #expect(result.code == 0 && result.errors.contains("--init \(weights) has no effect"), "\(result.errors)")
}

@Test func aModelIsNotTakenForOneOfOtherClasses() throws {
  let bench = try FaultyRun()
  #expect(try bench.train(["--stop-after-steps", "1"]).code == 0)
  let path = "\(bench.folder.path)/data/classes.txt"
  let classes = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
  try (classes.reversed().joined(separator: "\n") + "\n").write(toFile: path, atomically: true, encoding: .utf8)
  let evaluated = try run(
    bench.program, ["evaluate", "--checkpoint", "\(bench.folder.path)/run", "--out", "\(bench.folder.path)/out"])
  #expect(evaluated.code == 78 && evaluated.errors.contains("003.Synthetic_003"), "\(evaluated.errors)")
  let resumed = try bench.train(ranks: 2)
  #expect(resumed.code == 78 && resumed.errors.contains("classes"), "\(resumed.errors)")
}

@Test func processorTimeThatIsUsedUpEndsARunAsATermDoes() throws {
  let bench = try FaultyRun()
  let result = try run(
    "/usr/bin/prlimit",
    [
      "--cpu=1:60", bench.program, "train", "--config", "\(bench.folder.path)/c.yaml", "--set",
      "training.epochs=100000",
      "--set", "training.patience=0",
    ])
  #expect(result.code == 75, "\(result.code) \(result.errors)")
  let last = try #require(try bench.steps().last)
  #expect(try Checkpoint.read("\(bench.folder.path)/run/checkpoints/last.h5").integer("step") == last)
}

@Test func aLowLimitOnStacksIsRaisedOrToldOf() throws {
  let bench = try FaultyRun()
  let train = [bench.program, "train", "--config", "\(bench.folder.path)/c.yaml", "--stop-after-steps", "1"]
  let raised = try run("/usr/bin/prlimit", ["--stack=65536:"] + train)
  #expect(raised.code == 0, "\(raised.code) \(raised.errors)")
  let refused = try run("/usr/bin/prlimit", ["--stack=65536:65536"] + train)
  #expect(
    refused.code == 69 && refused.errors.hasPrefix("ala: error: a stack may have 64 KiB here (ulimit -s)"),
    "\(refused.code) \(refused.errors)")
}

@Test func whatAKilledRunHasLeftHalfMadeInItsFolderIsRemovedAndNothingElse() throws {
  let bench = try FaultyRun()
  let folder = "\(bench.folder.path)/run"
  #expect(try bench.train(["--stop-after-steps", "1"]).code == 0)
  let left = [".ala-sight.tmp-8231", ".ala-sight.tmp-8231.tmp-40", "config.yaml.tmp-41", "split.json.tmp-42-0a1b2c3d"]
  let ofOthers = ["notes.tmp-1", "config.yaml.tmp-old", "config.yaml.tmp-41-old"]
  for name in left + ofOthers { try Data().write(to: URL(fileURLWithPath: "\(folder)/\(name)")) }
  #expect(try bench.train(ranks: 2, ["--stop-after-steps", "1"]).code == 0)
  let names = try FileManager.default.contentsOfDirectory(atPath: folder)
  #expect(names.filter { $0.contains(".tmp-") }.sorted() == ofOthers.sorted())
}
