import Digests
import Foundation
import Safetensors
import Storage
import TestSupport
import Testing

/// What is promised of files that somebody hands over: an answer or a sentence within seconds, whatever is in them.

/// A fixed sequence of pseudo-random numbers.
struct Draws {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next(below limit: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int((state >> 33) % UInt64(limit))
  }
}

/// A checkpoint with other bytes, and a digest that fits them.
private func resealed(_ bytes: [UInt8]) -> [UInt8] {
  let hash = SHA256()
  bytes[512...].withUnsafeBytes { hash.update($0) }
  let line = Array("ala-checkpoint sha256 \(hash.finish())\n".utf8)
  return line + bytes[line.count...]
}

@Test(arguments: ["checkpoint", "shard", "explanations"])
func metadataThatIsChangedEndsInAnAnswerOrASentenceAndNeverByASignal(kind: String) throws {
  let bench = try TrainingBench(lanes: 4, cache: "yes")
  let root = bench.folder.path
  #expect(try bench.ala("cache", run: "run").code == 0)
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let judged = try bench.ala(
    "evaluate", run: "run", ["--checkpoint", "\(root)/run", "--out", "\(root)/test", "--set", "evaluation.steps=0"])
  #expect(judged.code == 0, "\(judged.errors)")
  let path = [
    "checkpoint": "\(root)/run/checkpoints/last.h5", "shard": "\(root)/cache/shard-00000-of-00001.h5",
    "explanations": "\(root)/test/explanations.h5",
  ]
  let sound = [UInt8](try Data(contentsOf: URL(fileURLWithPath: try #require(path[kind]))))
  let start = kind == "checkpoint" ? 512 : 0
  let image = "\(root)/data/images/001.Synthetic_001/Synthetic_001_0001.png"
  var draws = Draws(7)
  for trial in 0..<40 {
    var bytes = sound
    for _ in 0..<(1 + draws.next(below: 4)) {
      // HDF5's own words stand at the beginning and here and there between the data.
      let reach = draws.next(below: 2) == 0 ? 4096 : sound.count - start
      bytes[start + draws.next(below: min(reach, sound.count - start))] = UInt8(draws.next(below: 256))
    }
    if kind == "checkpoint" { bytes = resealed(bytes) }
    let file = "\(root)/changed.h5"
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    let inspected = try run(bench.program, ["inspect", file], seconds: 60)
    #expect([0, 65].contains(inspected.code), "\(kind), trial \(trial): \(inspected.code) \(inspected.errors)")
    guard kind == "checkpoint", trial % 4 == 0 else { continue }
    let used = try run(
      bench.program,
      ["explain", image, "--config", "\(root)/c.yaml", "--checkpoint", file, "--out", "\(root)/x"],
      seconds: 60)
    #expect([0, 65, 78].contains(used.code), "\(kind), trial \(trial): \(used.code) \(used.errors)")
  }
}

@Test func aSummaryWhoseListsAreOfUnlikeLengthsIsRefusedWithItsKey() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let judged = try bench.ala(
    "evaluate", run: "run",
    ["--checkpoint", "\(root)/run", "--out", "\(root)/run/test", "--set", "evaluation.steps=4", "--limit", "3"])
  #expect(judged.code == 0, "\(judged.errors)")
  let path = "\(root)/run/test/summary.json"
  let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
  var summary = try #require(object as? [String: Any])
  var curve = try #require(summary["deletion_curve"] as? [String: Any])
  curve["sd"] = (curve["sd"] as? [Double] ?? []).dropLast().map { $0 }
  summary["deletion_curve"] = curve
  try JSONSerialization.data(withJSONObject: summary).write(to: URL(fileURLWithPath: path))
  let report = try run(bench.program, ["report", "\(root)/run/test", "--out", "\(root)/r.html"])
  #expect(report.code == 65 && report.errors.contains("deletion_curve.sd"), "\(report.errors)")
}

@Test func whatATerminalWouldObeyIsShownAndNeverSent() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  let (word, shown) = ("x\u{1B}[2Jy\u{9B}31mz\u{7}\u{7F}", "x\\u001b[2Jy\\u009b31mz\\u0007\\u007f")
  func isHarmless(_ text: String) -> Bool {
    text.unicodeScalars.allSatisfy { $0 == "\n" || $0 == "\t" || $0.properties.generalCategory != .control }
  }

  // Names and attributes of files.
  try writeSafetensors([(name: word, shape: [1], values: [0])], metadata: [word: word], to: "\(root)/w.safetensors")
  let one = TensorTable([NamedTensor(name: word, shape: [1], values: [0])])
  try CheckpointContents(
    model: one, firstMoments: one, secondMoments: one, steps: [:], attributes: [word: .text("\(word)\n\tb")]
  ).write(to: "\(root)/c.h5")
  for (name, lines) in [("w.safetensors", ["metadata \(shown): \(shown)"]), ("c.h5", ["\(shown):", shown, "\tb"])] {
    let seen = try run(bench.program, ["inspect", "\(root)/\(name)"])
    #expect(seen.code == 0 && isHarmless(seen.output), "\(seen.errors)")
    let found = seen.output.split(separator: "\n").map(String.init)
    #expect(lines.allSatisfy { found.contains($0) } && found.contains { $0.contains("\(shown)  ") }, "\(found)")
    // JSON is the same JSON.
    let json = try run(bench.program, ["inspect", "\(root)/\(name)", "--json"]).output
    let object = try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any]
    #expect(isHarmless(json) && (object?["attributes"] as? [String: Any])?[word] != nil, "\(json)")
  }

  // What an error quotes, on the terminal and in the log.
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let sound = try bench.checkpoint("run")
  try CheckpointContents(
    model: TensorTable(sound.model), firstMoments: TensorTable(sound.firstMoments),
    secondMoments: TensorTable(sound.secondMoments), steps: sound.steps,
    attributes: sound.attributes.merging(["network": .text(word)]) { $1 }
  ).write(to: "\(root)/n.h5")
  let image = "\(root)/data/images/001.Synthetic_001/Synthetic_001_0001.png"
  let refused = try run(bench.program, ["explain", image, "--checkpoint", "\(root)/n.h5", "--out", "\(root)/x"])
  #expect(refused.code == 78 && refused.errors.contains("a network of kind \(shown),"), "\(refused.errors)")
  #expect(isHarmless(refused.errors))

  // Lines of a log.
  let log = try #require(FileHandle(forWritingAtPath: "\(root)/run/log.txt"))
  try log.seekToEnd()
  try log.write(contentsOf: Data("\(word)\n".utf8))
  try log.close()
  let watched = try run(bench.program, ["watch", "\(root)/run", "--once"])
  #expect(watched.code == 0 && watched.output.contains("log: \(shown)\n") && isHarmless(watched.output))
}

@Test func aPipeInPlaceOfACheckpointIsToldAsOne() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  let pipe = "\(root)/p.h5"
  #expect(mkfifo(pipe, 0o600) == 0)
  let image = "\(root)/data/images/001.Synthetic_001/Synthetic_001_0001.png"
  for arguments in [["explain", image], ["evaluate"], ["export"]] {
    let result = try run(
      bench.program, arguments + ["--checkpoint", pipe, "--out", "\(root)/x"], seconds: 30)
    #expect(
      result.code == 65 && result.errors.contains("\(pipe): is a FIFO; expected a regular file"), "\(result.errors)")
  }
}

@Test func aFileOfHolesIsToldOfAtOnceAndItsDigestIsNotTaken() throws {
  let folder = try TemporaryFolder()
  let (claimed, longer) = ("\(folder.path)/w.safetensors", "\(folder.path)/c.h5")
  let header = #"{"w":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}"#
  try (withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8)).write(
    to: URL(fileURLWithPath: claimed))
  #expect(truncate(claimed, off_t(8 + header.utf8.count + 1 << 40)) == 0)
  try FileManager.default.copyItem(
    atPath: "\(repositoryRoot)/Tests/StorageTests/Fixtures/in-pieces.h5", toPath: longer)
  #expect(truncate(longer, 1 << 40) == 0)
  for file in [claimed, longer] {
    let seen = try run(builtProgram("ala"), ["inspect", file], seconds: 60)
    #expect(seen.code == 0 && seen.output.contains("sha256: not computed, for of the file's 1099511627"), "\(seen)")
    let json = try run(builtProgram("ala"), ["inspect", file, "--json"], seconds: 60)
    #expect(json.code == 0 && !json.output.contains("sha256"), "\(json)")
  }
}

@Test func anEvaluationThatCannotBeReadIsNamedByTheReportOfItsRunAndLeftOut() throws {
  let bench = try TrainingBench(lanes: 4)
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "run").code == 0)
  let judged = try bench.ala(
    "evaluate", run: "run", ["--checkpoint", "\(root)/run", "--out", "\(root)/test", "--set", "evaluation.steps=0"])
  #expect(judged.code == 0, "\(judged.errors)")
  let maps = "\(root)/test/explanations.h5"
  unlink(maps)
  try FileManager.default.copyItem(atPath: "\(repositoryRoot)/Tests/StorageTests/Fixtures/paths.h5", toPath: maps)
  let report = try run(bench.program, ["report", "\(root)/run", "--out", "\(root)/r.html"], seconds: 60)
  #expect(report.code == 0 && report.errors.contains("\(maps): is no sound HDF5 file"), "\(report.errors)")
  #expect(report.errors.contains("it is left out"), "\(report.errors)")
}
