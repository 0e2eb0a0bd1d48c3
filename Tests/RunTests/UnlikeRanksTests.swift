import Foundation
import TestSupport
import Testing

/// Ranks that do not do the same: told before anything is computed, by code and sentence, never a hang.

/// Two ranks, each with its own program and arguments.
private func pair(
  _ first: [String], _ second: [String], environment: [String: String] = [:]
) throws -> ProcessResult {
  let allowed = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]
  return try run(
    "/usr/bin/mpirun", ["--oversubscribe", "--bind-to", "none", "-np", "1"] + first + [":", "-np", "1"] + second,
    environment: environment.merging(allowed) { $1 }, seconds: 60)
}

/// The lines of ours among `mpirun`'s.
private func errors(_ result: ProcessResult) -> [Substring] {
  result.errors.split(separator: "\n").filter { $0.hasPrefix("ala: error: ") }
}

@Test func ranksOfOtherSettingsAreRefusedNamingKeyRankAndBothValues() throws {
  let bench = try TrainingBench()
  for command in ["train", "cache", "evaluate"] {
    var own = [
      bench.program, command, "--config", "\(bench.folder.path)/c.yaml", "--set", "run.dir=\(bench.folder.path)/r",
    ]
    if command == "cache" { own += ["--set", "cache.dir=\(bench.folder.path)/cache"] }
    if command == "evaluate" {
      own += ["--checkpoint", "\(bench.folder.path)/none.h5", "--out", "\(bench.folder.path)/o"]
    }
    let result = try pair(
      own + ["--threads", "1"],
      own + ["--threads", "2", "--set", "training.lr=2.0e-3", "--set", "evaluation.steps=10"])
    #expect(result.code == 78, "\(command): \(result.errors)")
    let lines = errors(result)
    #expect(lines.count == 1, "\(result.errors)")
    let line = lines.first ?? ""
    #expect(line.contains("training.lr is 0.001 on rank 0 (") && line.contains("), 0.002 on rank 1 ("), "\(line)")
    #expect(line.contains("evaluation.steps is 224 on rank 0") && !line.contains("run.threads"), "\(line)")
  }
  #expect(!FileManager.default.fileExists(atPath: "\(bench.folder.path)/r"))
}

@Test func ranksOfOtherCommandsProgramsKernelsOrArgumentsAreRefused() throws {
  let bench = try TrainingBench()
  let copy = "\(bench.folder.path)/ala"
  try FileManager.default.copyItem(atPath: bench.program, toPath: copy)
  let file = try #require(FileHandle(forWritingAtPath: copy))
  try file.seekToEnd()
  try file.write(contentsOf: Data([0]))
  try file.close()
  let settings = ["--config", "\(bench.folder.path)/c.yaml", "--set", "run.dir=\(bench.folder.path)/r"]
  let train = [bench.program, "train"] + settings
  let work = [bench.program, "bench", "encode", "--threads", "1", "--steps", "1", "--repeats", "1"]
  for (first, second, expected) in [
    (train, [bench.program, "cache"] + settings, "the command is train on rank 0"),
    (train, [bench.program, "tarin"] + settings, "tarin on rank 1"),
    (train, [copy, "train"] + settings, "the program's sha256 is "),
    (
      ["-x", "OPENBLAS_CORETYPE=Haswell"] + train, ["-x", "OPENBLAS_CORETYPE=Prescott"] + train, "is Haswell on rank 0"
    ),
    (train, train + ["--stop-after-steps", "3"], "--stop-after-steps is not given on rank 0"),
    (train, train + ["--init", "\(bench.folder.path)/w.h5"], "w.h5 on rank 1"),
    (work, work + ["--batch", "3"], "--batch is not given on rank 0"),
  ] {
    let result = try pair(first, second)
    #expect(result.code == 78 && errors(result).count == 1, "\(expected): \(result.code) \(result.errors)")
    #expect(errors(result).first?.contains(expected) == true, "\(expected): \(result.errors)")
  }
}

@Test func ranksOfOtherDataOrAnotherEncoderAreRefusedAndCopiesAreNot() throws {
  let bench = try TrainingBench()
  let (data, copy, other) = ("\(bench.folder.path)/data", "\(bench.folder.path)/copy", "\(bench.folder.path)/other")
  try FileManager.default.copyItem(atPath: data, toPath: copy)
  #expect(
    try run(
      bench.program,
      ["synth", "--out", other, "--classes", "3", "--images-per-class", "24", "--size", "32", "--seed", "1"]
    ).code == 0)
  let train = [
    bench.program, "train", "--config", "\(bench.folder.path)/c.yaml", "--set", "run.dir=\(bench.folder.path)/r",
    "--stop-after-steps", "1",
  ]
  func use(_ root: String, weights: String) -> [String] {
    ["--set", "data.root=\(root)", "--set", "encoder.weights=\(weights)/encoder.safetensors"]
  }
  let unlikeData = try pair(train, train + use(other, weights: copy))
  #expect(unlikeData.code == 78 && unlikeData.errors.contains("the digest of data.root is "), "\(unlikeData.errors)")
  let unlikeEncoder = try pair(train, train + use(copy, weights: other))
  #expect(unlikeEncoder.code == 78 && unlikeEncoder.errors.contains("the sha256 of encoder.weights"))
  let lines = try String(contentsOfFile: "\(copy)/image_class_labels.txt", encoding: .utf8)
  try ("1 3\n" + lines.split(separator: "\n").dropFirst().joined(separator: "\n") + "\n").write(
    toFile: "\(copy)/image_class_labels.txt", atomically: true, encoding: .utf8)
  let unlikeLabels = try pair(train, train + use(copy, weights: copy))
  #expect(unlikeLabels.code == 78 && unlikeLabels.errors.contains("what data.root says of its images"))
  try lines.write(toFile: "\(copy)/image_class_labels.txt", atomically: true, encoding: .utf8)
  try FileManager.default.removeItem(atPath: "\(other)/segmentations")
  let unlikeMasks = try pair(train, train + ["--set", "data.segmentations=none"])
  #expect(unlikeMasks.code == 78 && unlikeMasks.errors.contains("the digest of data.segmentations"))
  let alike = try pair(train, train + use(copy, weights: copy))
  #expect(alike.code == 0, "\(alike.errors)")
}

@Test func aRankThatFailsEarlyForAnotherReasonEndsAllWithItsCode() throws {
  let bench = try TrainingBench()
  let train = [bench.program, "train", "--config", "\(bench.folder.path)/c.yaml"]
  for (second, code, expected) in [
    (train + ["--set", "data.root=/nowhere"], 66, "says where it lies now (rank 1 on "),
    ([bench.program, "train", "--config", "/none.yaml"], 66, "/none.yaml: there is no such settings file (rank 1 on "),
    (train + ["--set", "training.lr=x"], 78, "training.lr is \"x\""),
    (train + ["--threads", "x"], 64, "'x'"),
    (["/usr/bin/env", "ALA_TRAINING_LR=1"] + train, 78, "ALA_TRAINING__LR"),
  ] {
    let result = try pair(train, second)
    #expect(result.code == code && result.errors.contains(expected), "\(result.code) \(result.errors)")
    #expect(errors(result).count == 1, "\(result.errors)")
  }
}
