import Foundation
import Storage
import TestSupport
import Testing

/// What is promised of numbers that no run has written, in files of a run: a sentence, never a trap and no work without end.

private let ala = builtProgram("ala")

/// Writes a checkpoint with other words on where the run stands, under a digest that fits them.
///
/// - Parameter isAlike: whether it is written as it is, whatever it lacks.
private func forge(
  _ sound: Checkpoint, to path: String, progress changes: [String: Any] = [:], steps: Int64? = nil,
  isAlike: Bool = false
) throws {
  var attributes = sound.attributes
  if !isAlike {
    let json = try JSONSerialization.jsonObject(with: Data((sound.text("progress") ?? "").utf8))
    let progress = try #require(json as? [String: Any]).merging(changes) { $1 }
    attributes["progress"] = .text(
      String(decoding: try JSONSerialization.data(withJSONObject: progress), as: UTF8.self))
  }
  try CheckpointContents(
    model: TensorTable(sound.model), firstMoments: TensorTable(sound.firstMoments),
    secondMoments: TensorTable(sound.secondMoments), steps: sound.steps.mapValues { steps ?? $0 },
    attributes: attributes
  ).write(to: path)
}

@Test func aCheckpointThatStandsWhereNoRunCanIsRefusedWithTheFieldWhatWasFoundAndWhatWasExpected() throws {
  let bench = try TrainingBench(lanes: 4)
  let forged = "\(bench.folder.path)/forged.h5"
  // Of 4 epochs of 4 batches the sixth step: the second of epoch 2.
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "6"]).code == 0)
  let sound = try bench.checkpoint("run")
  func resumed() throws -> ProcessResult {
    try bench.ala("train", run: "next", ["--resume", forged, "--stop-after-steps", "1"])
  }
  try forge(sound, to: forged)
  #expect(try resumed().errors.contains("resuming from \(forged): epoch 2, step 6"))

  let cases: [(field: String, value: Int, expected: String)] = [
    ("epoch", -1, "1 to 4"), ("epoch", .min, "1 to 4"), ("epoch", 5, "1 to 4"), ("batchInEpoch", -1, "0 to 4"),
    ("batchInEpoch", .min, "0 to 4"), ("batchInEpoch", 1 << 40, "0 to 4"), ("batchInEpoch", .max, "0 to 4"),
    ("step", .max - 1, "6"), ("step", .min, "6"), ("step", 5, "6"), ("samples", .max, "0 to 16"),
    ("correct", .max, "0 to 16"), ("skipped", .max, "0 to 6"), ("validationsWithoutBetter", .max, "0 to 2"),
  ]
  for (field, value, expected) in cases {
    try forge(sound, to: forged, progress: [field: value])
    let result = try resumed()
    let words = "\(forged): its attribute progress has \(field) \(value); expected \(expected) ("
    #expect(result.code == 65 && result.errors.contains(words), "\(field) \(value): \(result.code) \(result.errors)")
  }
  let best = ["epoch": 1, "step": Int.max, "accuracy": 0.5, "loss": 1] as [String: Any]
  try forge(sound, to: forged, progress: ["best": best])
  #expect(try resumed().errors.contains("has best.step \(Int.max); expected 0 to 6 ("))
  for count in [Int64.max, -1, 7] {
    try forge(sound, to: forged, steps: count)
    let result = try resumed()
    #expect(result.code == 65 && result.errors.contains(" is \(count); expected 0 to 6, the run's steps"))
    #expect(result.errors.contains("\(forged): tensor /optimizer/steps/"), "\(result.errors)")
  }
}

@Test func theRunsOwnFolderIsReadWithTheSameCareAndWeightsAloneAskForNoProgress() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "6"]).code == 0)
  let newest = "\(root)/run/checkpoints/step-000000006.h5"
  try forge(try bench.checkpoint("run"), to: newest, progress: ["batchInEpoch": Int.max], steps: .max)
  unlink("\(root)/run/checkpoints/step-000000004.h5")
  let gone = try bench.ala("train", ranks: 2, run: "run")
  #expect(
    gone.code == 65 && gone.errors.contains("\(newest): its attribute progress has batchInEpoch")
      && gone.errors.contains("no checkpoint of this run is sound"), "\(gone.errors)")
  let started = try bench.ala("train", run: "other", ["--init", newest, "--stop-after-steps", "1"])
  #expect(started.code == 0, "\(started.errors)")
  #expect(try run(ala, ["inspect", newest]).output.contains("9223372036854775807"))
  let judged = try run(
    ala, ["evaluate", "--checkpoint", newest, "--out", "\(root)/test", "--set", "evaluation.steps=0", "--limit", "3"])
  #expect(judged.code == 0, "\(judged.errors)")
  #expect(try run(ala, ["watch", "\(root)/run", "--once"]).code == 0)
}

@Test func anImpossibleNewestCheckpointIsNamedAndTheOneBeforeItIsUsedWithTheSameBits() throws {
  let bench = try TrainingBench(lanes: 4)
  func train(_ run: String, ranks: Int = 1, steps: Int, _ more: [String] = []) throws -> ProcessResult {
    try bench.ala("train", ranks: ranks, run: run, ["--stop-after-steps", "\(steps)"] + more)
  }
  #expect(try train("whole", steps: 8).code == 0)
  for steps in [3, 3] { #expect(try train("run", steps: steps).code == 0) }
  let newest = "\(bench.folder.path)/run/checkpoints/step-000000006.h5"
  let sound = try bench.checkpoint("run")
  var damages: [(words: String, make: () throws -> Void)] = [
    ("its attribute progress has batchInEpoch", { try forge(sound, to: newest, progress: ["batchInEpoch": Int.max]) }),
    (" is -1; expected 0 to 6, the run's steps", { try forge(sound, to: newest, steps: -1) }),
  ]
  for name in ["progress", "config", "encoder_sha256"] {
    var other = sound
    other.attributes[name] = nil
    damages.append(("its attribute \(name) is missing", { try forge(other, to: newest, isAlike: true) }))
  }
  var (unset, short) = (sound, sound)
  unset.attributes["config"] = .text("training: {lr: none}")
  damages.append(("its stored settings cannot be read", { try forge(unset, to: newest, isAlike: true) }))
  short.secondMoments.removeLast()
  damages.append(("is missing or misshapen", { try forge(short, to: newest, isAlike: true) }))
  // What a loss of power leaves, and files of others.
  for bytes in [Data(), Data([0]), Data(count: 70_000), Data("no checkpoint\n".utf8)] {
    damages.append(
      ("its beginning is damaged", { try bytes.write(to: URL(fileURLWithPath: newest), options: .atomic) }))
  }
  for (index, (words, make)) in damages.enumerated() {
    let run = "run-\(index)"
    try make()
    try FileManager.default.copyItem(
      atPath: "\(bench.folder.path)/run", toPath: "\(bench.folder.path)/\(run)")
    // The epoch's end before it has left one, too, at step 4.
    let result = try train(run, ranks: 1 + index % 2, steps: 4)
    let warnings = result.errors.split(separator: "\n").filter { $0.contains(words) }
    #expect(result.code == 0 && warnings.count == 1, "\(words): \(result.code) \(result.errors)")
    #expect(warnings.first?.contains("\(run)/checkpoints/step-000000006.h5: ") == true, "\(warnings)")
    #expect(try bench.digest(run) == bench.digest("whole"), "\(words)")
  }
  // Of other settings is no damage.
  var elsewhere = sound
  elsewhere.attributes["products"] = .text(sound.attributes["products"] == .text("openblas") ? "onednn" : "openblas")
  try forge(elsewhere, to: newest, progress: ["batchInEpoch": Int.max])
  let mixed = try train("run", steps: 1)
  #expect(
    mixed.code == 78 && mixed.errors.contains("a newer checkpoint of this run that is passed over"), "\(mixed.errors)")
  let other = try train("run-0", steps: 1, ["--set", "training.lr=0.5"])
  #expect(other.code == 78 && !other.errors.contains("passed over"), "\(other.code) \(other.errors)")
}

private func step(_ step: Int, epoch: Int, loss: String = "1", rate: String = "4") -> String {
  "{\"event\":\"step\",\"epoch\":\(epoch),\"step\":\(step),\"phase\":\"alpha\",\"loss\":\(loss),\"samples_per_s\":\(rate)}\n"
}

@Test(arguments: [(2, -1), (2, .min), (2, .max), (.max, 4), (.min, 4), (0, 1), (1 << 31, 4)] as [(Int, Int)])
func aLineOfAStepThatNoRunHasIsLeftOutWithAWordAndNamedByAReport(epoch: Int, number: Int) throws {
  let folder = try handMadeRun()
  let path = "\(folder.path)/metrics.jsonl"
  try (step(number, epoch: epoch) + String(contentsOfFile: path, encoding: .utf8))
    .write(toFile: path, atomically: true, encoding: .utf8)
  let seen = try run(ala, ["watch", folder.path, "--once"], seconds: 30)
  #expect(seen.code == 0 && seen.output.contains("epoch 2 of 4 (ones), step 3 of 8"), "\(seen.code) \(seen.output)")
  #expect(seen.output.contains("\n1 line of metrics.jsonl left out: "), "\(seen.output)")
  let page = try String(contentsOfFile: "\(folder.path)/watch.html", encoding: .utf8)
  #expect(page.contains("1 line of metrics.jsonl left out"))
  let report = try run(ala, ["report", folder.path, "--out", "\(folder.path)/r.html"], seconds: 30)
  #expect(report.code == 65 && report.errors.contains("\(path): line 1 "), "\(report.code) \(report.errors)")
}

@Test func numbersBeyondAllMeasureAreShownOrLeftOutWithinSeconds() throws {
  let folder = try handMadeRun()
  func write(_ name: String, _ text: String) throws {
    try text.write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
  }
  func expectSeen(_ what: String) throws {
    let seen = try run(ala, ["watch", folder.path, "--once"], seconds: 20)
    #expect(seen.code == 0, "\(what): \(seen.code) \(seen.errors)")
    let report = try run(ala, ["report", folder.path, "--out", "\(folder.path)/r.html", "--overwrite"], seconds: 20)
    #expect(report.code == 0, "\(what): \(report.code) \(report.errors)")
  }
  // Settings that allow them, and such as no settings do.
  for (epochs, batch) in [("2147483647", "1"), ("9223372036854775807", "8"), ("4", "9223372036854775807"), ("-1", "0")]
  {
    try write("config.yaml", "training:\n  epochs: \(epochs)\n  batch: \(batch)\n")
    try expectSeen("epochs \(epochs), batch \(batch)")
  }
  try write("config.yaml", "training:\n  epochs: 4\n  batch: 8\n")
  for (one, other) in [("1.7e308", "-1.7e308"), ("1e300", "1e300"), ("0", "5e-324"), ("null", "-1e99")] {
    try write("metrics.jsonl", step(1, epoch: 1, loss: one, rate: "1e-320") + step(3, epoch: 2, loss: other))
    try expectSeen("losses \(one) and \(other)")
  }
  try write("metrics.jsonl", step(1 << 61, epoch: 2_147_483_647))
  try expectSeen("a late step")
  try write(
    ".lock.owner",
    "{\"boot\":\"b\",\"command\":\"c\",\"host\":\"another\",\"pid\":1,\"processStart\":\"1\",\"since\":-1e300}")
  try expectSeen("an owner of old")
}
