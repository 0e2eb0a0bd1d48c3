import Dataset
import Foundation
import Safetensors
import Storage
import Tensor
import TestSupport
import Testing

/// The built program under real `mpirun`: what users are promised of a run.

/// A small synthetic set, its settings, and a folder of their own.
struct TrainingBench {
  let folder: TemporaryFolder
  let program = builtProgram("ala")

  /// - Parameter products: of `run.products`; nil leaves it `auto`.
  init(lanes: Int = 8, cache: String = "null", products: ProductLibrary? = nil, extra: String = "") throws {
    folder = try TemporaryFolder()
    let made = try run(
      program, ["synth", "--out", "\(folder.path)/data", "--classes", "3", "--images-per-class", "24", "--size", "32"])
    try #require(made.code == 0, "\(made.errors)")
    try """
    \(products.map { "run: {products: \($0.rawValue)}" } ?? "# run.products is left alone")
    data: {root: \(folder.path)/data}
    image: {size: 32}
    encoder: {weights: \(folder.path)/data/encoder.safetensors}
    lora: {blocks: [3], rank: 4}
    side: {width: 24, heads: 3, layers: 2, fusion: [0, 2]}
    attention: {dropout: 0.2}
    perception: {channels: [16, 8], dropout: 0.1}
    training: {epochs: 4, batch: 8, lanes: \(lanes), lr: 1.0e-3, clip: 0.5, weight_decay: 0.01}
    cache: {dir: \(cache == "null" ? "null" : "\(folder.path)/cache"), views: 4, dtype: float32}
    \(extra)
    """.write(toFile: "\(folder.path)/c.yaml", atomically: true, encoding: .utf8)
  }

  func ala(
    _ command: String, ranks: Int = 1, run name: String, threads: Int = 1, _ arguments: [String] = [],
    whileRunning: ((Int32) -> Void)? = nil
  ) throws -> ProcessResult {
    let all =
      [
        command, "--config", "\(folder.path)/c.yaml", "--set", "run.dir=\(folder.path)/\(name)", "--threads",
        "\(threads)",
      ]
      + arguments
    return ranks == 1
      ? try TestSupport.run(program, all, whileRunning: whileRunning)
      : try mpirun(ranks: ranks, program, all, whileRunning: whileRunning)
  }

  /// The digest of a run's last weights.
  func digest(_ name: String) throws -> String {
    try Checkpoint.read("\(folder.path)/\(name)/checkpoints/last.h5").text("model_sha256") ?? ""
  }

  func checkpoint(_ name: String) throws -> Checkpoint {
    try Checkpoint.read("\(folder.path)/\(name)/checkpoints/last.h5")
  }

  func metrics(_ name: String) throws -> [[String: Any]] {
    try String(contentsOfFile: "\(folder.path)/\(name)/metrics.jsonl", encoding: .utf8).split(separator: "\n").map {
      try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any] ?? [:]
    }
  }
}

@Test(arguments: ProductLibrary.linked) func oneTwoFourAndEightRanksOfOneOrTwoThreadsGiveTheSameBits(
  products: ProductLibrary
) throws {
  let bench = try TrainingBench(products: products)
  for (ranks, threads) in [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)] {
    let result = try bench.ala("train", ranks: ranks, run: "w\(ranks)x\(threads)", threads: threads)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try bench.digest("w\(ranks)x\(threads)") == bench.digest("w1x1"), "\(ranks) ranks x \(threads) threads")
  }
}

@Test(arguments: ProductLibrary.linked) func threeRanksAgreeWithOneToRoundingAndSaySo(
  products: ProductLibrary
) throws {
  let bench = try TrainingBench(products: products)
  #expect(try bench.ala("train", run: "one").code == 0)
  let three = try bench.ala("train", ranks: 3, run: "three")
  #expect(three.code == 0 && three.errors.contains("3 ranks do not divide 8 lanes"))
  let (a, b) = (try bench.checkpoint("one"), try bench.checkpoint("three"))
  let travel = 4 * 3 * 1e-3
  for (x, y) in zip(a.model, b.model) where !x.name.hasSuffix("attn.k.bias") {
    #expect(x.name == y.name)
    let scale = max(x.values.map { abs(Double($0)) }.max() ?? 0, travel)
    let error = difference(y.values, x.values.map { Double($0) }, scale: scale)
    noteDifference("weights of 3 ranks after 4 epochs", reference: "1 rank", error, limit: 1e-5, library: products)
    #expect(error < 1e-5, "\(x.name)")
  }
  for (x, y) in zip(try bench.metrics("one"), try bench.metrics("three")) {
    guard let p = x["loss"] as? Double, let q = y["loss"] as? Double else { continue }
    noteDifference(
      "losses of 3 ranks over 4 epochs", reference: "1 rank", abs(p - q) / max(1, abs(p)), limit: 1e-5,
      library: products)
    #expect(abs(p - q) < 1e-5 * max(1, abs(p)))
  }
}

@Test(arguments: ProductLibrary.linked) func aCacheWithEveryViewInFloat32TrainsTheVeryRunOfLiveImages(
  products: ProductLibrary
) throws {
  let bench = try TrainingBench(cache: "yes", products: products)
  #expect(try bench.ala("train", run: "live", ["--set", "cache.dir=null"]).code == 0)
  let cached = try bench.ala("cache", ranks: 3, run: "cached")
  #expect(cached.code == 0, "\(cached.errors)")
  #expect(try bench.ala("cache", ranks: 2, run: "cached", ["--verify"]).code == 0)
  let trained = try bench.ala("train", ranks: 2, run: "cached")
  #expect(trained.code == 0 && trained.errors.contains("from the cache"), "\(trained.errors)")
  #expect(try bench.digest("live") == bench.digest("cached"))
  #expect(
    try bench.ala("train", run: "tail", ["--set", "cache.dir=\(bench.folder.path)/tail", "--set", "cache.layers=tail"])
      .code == 0)
  #expect(try bench.digest("tail") == bench.digest("live"))
}

@Test(arguments: ProductLibrary.linked) func aRunStoppedInMidEpochGoesOnAtOtherWorldSizesWithTheSameBits(
  products: ProductLibrary
) throws {
  let bench = try TrainingBench(products: products)
  #expect(try bench.ala("train", run: "whole").code == 0)
  for (ranks, steps) in [(1, 2), (2, 5), (4, 3)] {
    let result = try bench.ala("train", ranks: ranks, run: "parts", ["--stop-after-steps", "\(steps)"])
    #expect(result.code == 0, "\(result.errors)")
  }
  #expect(try bench.checkpoint("parts").integer("step") == 10)
  #expect(try bench.ala("train", ranks: 2, run: "parts").code == 0)
  #expect(try bench.digest("parts") == bench.digest("whole"))
  let again = try bench.ala("train", ranks: 2, run: "parts")
  #expect(again.code == 0 && again.errors.contains("the run is finished"))
}

@Test func killedAtAnyMomentTheSameCommandEndsInTheSameWeights() throws {
  let bench = try TrainingBench(extra: "checkpoint: {every_minutes: 0.0005, keep: 2}")
  #expect(try bench.ala("train", run: "whole").code == 0)
  for moment in 1...6 {
    _ = try bench.ala("train", ranks: 2, run: "killed") { process in
      usleep(UInt32(150_000 * moment))
      _ = try? run("/usr/bin/pkill", ["-KILL", "-P", "\(process)"])
      kill(process, SIGKILL)
    }
  }
  let result = try bench.ala("train", ranks: 2, run: "killed")
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.digest("killed") == bench.digest("whole"))
  let names = try FileManager.default.contentsOfDirectory(atPath: "\(bench.folder.path)/killed/checkpoints")
  #expect(names.allSatisfy { $0.hasPrefix("step-") || $0 == "last.h5" || $0 == "best.h5" }, "\(names)")
}

/// Returns when a run that has been started has made a step, or after a minute.
func waitForFirstStep(of run: String) {
  let limit = Date().addingTimeInterval(60)
  func hasStep() -> Bool {
    (try? String(contentsOfFile: "\(run)/metrics.jsonl", encoding: .utf8))?.contains("\"step\":2,") ?? false
  }
  while !hasStep(), Date() < limit { usleep(50_000) }
}

@Test(arguments: [1, 2]) func aSignalEndsARunWithACheckpointAndCode75(ranks: Int) throws {
  let bench = try TrainingBench(extra: "run: {seed: 0}")
  let long = ["--set", "training.epochs=400", "--set", "training.patience=1000"]
  let result = try bench.ala("train", ranks: ranks, run: "signalled", long) { process in
    waitForFirstStep(of: "\(bench.folder.path)/signalled")
    kill(process, SIGUSR1)
  }
  #expect(result.code == 75, "\(result.errors)")
  let checkpoint = try bench.checkpoint("signalled")
  #expect((checkpoint.integer("step") ?? 0) > 0 && result.errors.contains("run the same command again"))
}

@Test func anEvenEpochSendsNothingOfTheFrozenBranchesAndLeavesThemUntouched() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", ranks: 2, run: "phases", ["--stop-after-steps", "4"]).code == 0)
  let before = try bench.checkpoint("phases")
  #expect(before.text("phase") == "alpha" && before.integer("epoch") == 1)
  #expect(try bench.ala("train", ranks: 2, run: "phases", ["--stop-after-steps", "4"]).code == 0)
  let after = try bench.checkpoint("phases")
  #expect(after.text("phase") == "ones" && after.integer("step") == 8)
  func frozen(_ tensors: [NamedTensor]) -> [NamedTensor] {
    tensors.filter { $0.name.hasPrefix("side.") || $0.name.hasPrefix("attention.") }
  }
  #expect(frozen(after.model) == frozen(before.model) && !frozen(after.model).isEmpty)
  #expect(frozen(after.firstMoments) == frozen(before.firstMoments))
  #expect(frozen(after.secondMoments) == frozen(before.secondMoments))
  #expect(after.steps.filter { $0.key.hasPrefix("side.") } == before.steps.filter { $0.key.hasPrefix("side.") })
  #expect(after.model != before.model)
  let parameters = after.firstMoments
  func bytes(_ tensors: [NamedTensor]) -> Int { tensors.reduce(0) { $0 + 4 * $1.values.count } }
  for step in try bench.metrics("phases") where step["event"] as? String == "step" {
    let isAlpha = step["phase"] as? String == "alpha"
    let expected = isAlpha ? bytes(parameters) : bytes(parameters) - bytes(frozen(parameters))
    #expect(step["gradient_bytes"] as? Int == expected)
    #expect((step["loss_ab"] is NSNull) == !isAlpha)
  }
}

@Test func aGradientThatIsNotFiniteIsRefusedByAllRanksAndTheRunGoesOn() throws {
  let bench = try TrainingBench()
  let result = try bench.ala("train", ranks: 2, run: "nan", ["--set", "training.inject_nan_at_step=3"])
  #expect(result.code == 0 && result.errors.contains("step 3: the update is refused"), "\(result.errors)")
  let checkpoint = try bench.checkpoint("nan")
  #expect(checkpoint.integer("step") == 16 && checkpoint.steps["perception.classifier.weight"] == 15)
  #expect(checkpoint.model.allSatisfy { $0.values.allSatisfy(\.isFinite) })
}

@Test func resumingUnderSettingsThatChangeTheResultIsRefusedWithTheKeys() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "r", ["--stop-after-steps", "2"]).code == 0)
  let refused = try bench.ala("train", ranks: 2, run: "r", ["--set", "training.lr=0.5"])
  #expect(refused.code == 78 && refused.errors.contains("training.lr"), "\(refused.errors)")
  let longer = try bench.ala("train", run: "r", ["--set", "training.epochs=9"])
  #expect(longer.code == 78 && longer.errors.contains("--init"))
  let anew = try bench.ala(
    "train", run: "r", ["--set", "training.lr=0.5", "--resume", "never", "--stop-after-steps", "1"])
  #expect(anew.code == 0 && anew.errors.contains("starts anew"))
  #expect(try bench.checkpoint("r").integer("step") == 1)
}

@Test func initStartsFromTheWeightsOfACheckpointAlone() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "first", ["--stop-after-steps", "3"]).code == 0)
  let source = "\(bench.folder.path)/first/checkpoints/last.h5"
  let result = try bench.ala("train", ranks: 2, run: "second", ["--init", source, "--stop-after-steps", "1"])
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.checkpoint("second").integer("step") == 1)
  let wrong = try bench.ala("train", run: "third", ["--init", source, "--set", "side.width=12"])
  #expect(wrong.code == 65 && wrong.errors.contains("tensor side."), "\(wrong.errors)")
}

@Test func anExportIsLoadedAgainByInitAndByEvaluate() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "first", ["--stop-after-steps", "3"]).code == 0)
  let export = try run(
    bench.program,
    ["export", "--checkpoint", "\(root)/first/checkpoints/last.h5", "--out", "\(root)/adapter.safetensors"])
  #expect(export.code == 0, "\(export.errors)")
  for (name, source) in [("hdf5", "first/checkpoints/last.h5"), ("safetensors", "adapter.safetensors")] {
    let result = try bench.ala("train", run: name, ["--init", "\(root)/\(source)", "--stop-after-steps", "1"])
    #expect(result.code == 0, "\(result.errors)")
  }
  #expect(try bench.digest("hdf5") == bench.digest("safetensors"))
  let evaluated = try bench.ala(
    "evaluate", run: "first", ["--checkpoint", "\(root)/adapter.safetensors", "--out", "\(root)/out"])
  #expect(evaluated.code == 0, "\(evaluated.errors)")
  let bytes = FileManager.default.contents(atPath: "\(root)/adapter.safetensors") ?? Data()
  try bytes.prefix(bytes.count - 8).write(to: URL(fileURLWithPath: "\(root)/cut.safetensors"))
  let cut = try bench.ala("train", run: "cut", ["--init", "\(root)/cut.safetensors"])
  #expect(cut.code == 65 && cut.errors.contains("cut.safetensors"), "\(cut.errors)")
  // It is looked at before anything is made.
  #expect(!FileManager.default.fileExists(atPath: "\(root)/cut"))
}

@Test func whatARunEndsWithStandsInItsLog() throws {
  let bench = try TrainingBench()
  let result = try bench.ala(
    "train", run: "failed", ["--set", "training.inject_nan_at_step=2", "--set", "training.max_skipped=1"])
  #expect(result.code == 70, "\(result.errors)")
  let log = try String(contentsOfFile: "\(bench.folder.path)/failed/log.txt", encoding: .utf8)
  #expect(log.contains("ala: error: ") && log.split(separator: "\n").last.map { result.errors.contains($0) } == true)
}

@Test func anExportIsNotTakenForOneOfAnotherEncoder() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  #expect(try bench.ala("train", run: "first", ["--stop-after-steps", "1"]).code == 0)
  let export = try run(
    bench.program,
    ["export", "--checkpoint", "\(root)/first/checkpoints/last.h5", "--out", "\(root)/adapter.safetensors"])
  #expect(export.code == 0, "\(export.errors)")
  // The same tensors, other bytes.
  let encoder = try SafetensorsFile(path: "\(root)/data/encoder.safetensors")
  let tensors = encoder.tensors.values.map { tensor in
    let bytes = encoder.bytes(of: tensor)
    return (
      name: tensor.name, shape: tensor.shape,
      values: (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    )
  }
  try writeSafetensors(tensors, metadata: ["made": "anew"], to: "\(root)/other.safetensors")
  let other = ["--set", "encoder.weights=\(root)/other.safetensors"]
  let judged = try bench.ala(
    "evaluate", run: "refused", ["--checkpoint", "\(root)/adapter.safetensors", "--out", "\(root)/out"] + other)
  #expect(judged.code == 78 && judged.errors.contains("encoder_sha256"), "\(judged.code) \(judged.errors)")
  // A start from weights alone may be another's; it is told.
  let started = try bench.ala(
    "train", run: "other", ["--init", "\(root)/adapter.safetensors", "--stop-after-steps", "1"] + other)
  #expect(started.code == 0 && started.errors.contains("encoder_sha256"), "\(started.code) \(started.errors)")
  // One that names no encoder is taken.
  let adapter = try SafetensorsFile(path: "\(root)/adapter.safetensors")
  let plain = adapter.tensors.values.map { tensor in
    let bytes = adapter.bytes(of: tensor)
    return (
      name: tensor.name, shape: tensor.shape,
      values: (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    )
  }
  try writeSafetensors(plain, to: "\(root)/plain.safetensors")
  let taken = try bench.ala(
    "train", run: "taken", ["--init", "\(root)/plain.safetensors", "--stop-after-steps", "1"] + other)
  #expect(taken.code == 0, "\(taken.errors)")
  // A variance cannot be negative.
  let negative = plain.map { tensor in
    (tensor.name, tensor.shape, tensor.name.hasSuffix(".running_var") ? tensor.values.map { -$0 } : tensor.values)
  }
  try writeSafetensors(negative, to: "\(root)/negative.safetensors")
  let refused = try bench.ala("train", run: "negative", ["--init", "\(root)/negative.safetensors"])
  #expect(refused.code == 65 && refused.errors.contains("running_var"), "\(refused.code) \(refused.errors)")
}

@Test func aCachingPassKilledAtAnyMomentEndsInTheSameValues() throws {
  let bench = try TrainingBench(cache: "yes")
  let root = bench.folder.path
  #expect(try bench.ala("cache", run: "whole", ["--set", "cache.dir=\(root)/whole"]).code == 0)
  for moment in 1...5 {
    _ = try bench.ala("cache", ranks: 1 + moment % 3, run: "killed") { process in
      usleep(UInt32(60_000 * moment))
      _ = try? run("/usr/bin/pkill", ["-KILL", "-P", "\(process)"])
      kill(process, SIGKILL)
    }
  }
  let result = try bench.ala("cache", ranks: 2, run: "killed")
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.ala("cache", run: "killed", ["--verify"]).code == 0)
  for (name, folder) in [("a", "whole"), ("b", "cache")] {
    #expect(try bench.ala("train", run: name, ["--set", "cache.dir=\(root)/\(folder)"]).code == 0)
  }
  #expect(try bench.digest("a") == bench.digest("b"))
}

@Test(arguments: [(1, "float32"), (2, "float16")])
func aDamagedRowIsNamedOnceAndMadeAnewWithTheBitsOfTheIntactRun(ranks: Int, type: String) throws {
  let bench = try TrainingBench(cache: "yes")
  let root = bench.folder.path
  let dtype = ["--set", "cache.dtype=\(type)", "--set", "cache.views=2"]
  #expect(try bench.ala("cache", run: "damaged", dtype).code == 0)
  #expect(try bench.ala("train", run: "intact", dtype).code == 0)
  #expect(try bench.ala("train", run: "damaged", dtype + ["--stop-after-steps", "1"]).code == 0)
  // A row of two epochs, and one of every validation.
  let split = try JSONSerialization.jsonObject(
    with: Data(contentsOf: URL(fileURLWithPath: "\(root)/damaged/split.json")))
  let train = try #require((split as? [String: [Int]])?["train"]?.last)
  let valid = try #require((split as? [String: [Int]])?["valid"]?.first)
  let shard = "\(root)/cache/shard-00000-of-00001.h5"
  let file = try HDF5File.open(shard)
  let ids = try file.readArray("image_id", .int32, of: Int32.self)
  let views = try file.readArray("view", .int32, of: Int32.self)
  let tail = try file.dataset("tail")
  try file.close()
  var bytes = try Data(contentsOf: URL(fileURLWithPath: shard))
  let rowBytes = tail.shape.dropFirst().reduce(1, *) * tail.type.bytes
  for (victim, view) in [(train, 1), (valid, -1)] {
    let row = try #require(ids.indices.first { ids[$0] == Int32(victim) && views[$0] == Int32(view) })
    for place in stride(from: 1, to: rowBytes, by: 2) { bytes[(tail.offset ?? 0) + row * rowBytes + place] ^= 0x20 }
  }
  try bytes.write(to: URL(fileURLWithPath: shard))
  let result = try bench.ala("train", ranks: ranks, run: "damaged", dtype)
  #expect(result.code == 0, "\(result.code) \(result.errors)")
  for victim in ["image \(train), view 1", "image \(valid), view -1"] {
    let lines = result.errors.split(separator: "\n").filter { $0.contains("\(shard): row") && $0.contains(victim) }
    // With several ranks one of them may have read a row ahead for an epoch in which another trains on it.
    #expect((1...ranks).contains(lines.count) && lines.allSatisfy { $0.contains("warning") }, "\(result.errors)")
    #expect(ranks == 1 || lines.allSatisfy { $0.contains("(rank ") })
  }
  #expect(try bench.digest("damaged") == bench.digest("intact"))
  let validations = try ["damaged", "intact"].map { name in
    try bench.metrics(name).filter { $0["split"] as? String == "valid" }.map { $0["loss"] as? Double }
  }
  #expect(validations[0] == validations[1] && !validations[0].isEmpty)
  let done = try bench.metrics("damaged").filter { $0["event"] as? String == "step" }
  #expect(done.allSatisfy { ($0["data_wait_ms"] as? Double ?? -1) >= 0 })
  #expect(try bench.ala("cache", run: "damaged", dtype + ["--verify"]).code == 65)
  #expect(try bench.ala("cache", run: "damaged", dtype).code == 0)
  #expect(try bench.ala("cache", run: "damaged", dtype + ["--verify"]).code == 0)
}

/// Trains by the launch script, at 2 ranks, what would go on for long.
private func launched(
  _ bench: TrainingBench, epochs: Int, _ meanwhile: @escaping (Int32) -> Void
) throws -> ProcessResult {
  let root = bench.folder.path
  return try run(
    "\(repositoryRoot)/launch/local",
    [
      "train", "\(root)/c.yaml", "2", "--set", "run.dir=\(root)/launched", "--set", "training.epochs=\(epochs)",
      "--set", "training.patience=\(epochs)", "--threads", "1",
    ], environment: ["ALA": bench.program], whileRunning: meanwhile)
}

@Test(arguments: [SIGTERM, SIGINT]) func theLaunchScriptTurnsASignalIntoACheckpointAndCode75(signal: Int32) throws {
  let bench = try TrainingBench()
  let result = try launched(bench, epochs: 400) { process in
    waitForFirstStep(of: "\(bench.folder.path)/launched")
    kill(process, signal)
  }
  #expect(result.code == 75, "\(result.errors)")
  #expect(try bench.checkpoint("launched").integer("step") ?? 0 > 0)
}

/// Before mpirun listens, and before there are ranks; 143 where the script itself has hardly begun.
@Test(arguments: [50, 100, 150, 250]) func aSignalThatComesBeforeTheRanksIsHeard(milliseconds: UInt32) throws {
  let result = try launched(TrainingBench(), epochs: 100_000) { process in
    usleep(1_000 * milliseconds)
    kill(process, SIGTERM)
  }
  #expect([75, 143].contains(result.code), "\(result.code) \(result.errors)")
}

@Test func aRunGoesOnWhereNobodyReadsWhatItSays() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  // A pipe that is full from the start, and is held open by one who never reads.
  let result = try run(
    "/bin/sh",
    [
      "-c",
      """
      cd "$1" && mkfifo full && { sleep 60 <full & } && reader=$! && exec 9>full && head -c 65536 /dev/zero >&9
      "$2" train --config c.yaml --set run.dir=unheard 2>&9
      code=$?
      kill "$reader"
      exit "$code"
      """, "sh", root, bench.program,
    ], seconds: 50)
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.checkpoint("unheard").integer("step") ?? 0 > 0)
}

@Test(arguments: [1, 2, 3]) func badInputGivesOneMessageAndItsCodeFromEveryRankCount(ranks: Int) throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  func refusal(_ code: Int32, _ word: String, _ arguments: [String]) throws {
    let result = try bench.ala("train", ranks: ranks, run: "bad\(code)", arguments)
    let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("ala: error:") || $0.contains("Fatal") }
    #expect(
      result.code == code && result.errors.contains(word) && lines.count == 1,
      "\(word): \(result.code) \(result.errors)")
  }
  try refusal(78, "training.lr", ["--set", "training.lrr=1"])
  try refusal(66, "nowhere.safetensors", ["--set", "encoder.weights=nowhere.safetensors"])
  try refusal(66, "nowhere", ["--set", "data.root=nowhere"])
  try refusal(78, "encoder.depth", ["--set", "encoder.depth=40"])
  try refusal(78, "side.fusion", ["--set", "side.fusion=[9]"])
  let weights = FileManager.default.contents(atPath: "\(root)/data/encoder.safetensors") ?? Data()
  try weights.prefix(5000).write(to: URL(fileURLWithPath: "\(root)/short.safetensors"))
  try refusal(65, "short.safetensors", ["--set", "encoder.weights=\(root)/short.safetensors"])
  let victim = "\(root)/data/images/002.Synthetic_002/Synthetic_002_0003.png"
  let image = FileManager.default.contents(atPath: victim) ?? Data()
  var damaged = image
  for index in 60..<120 { damaged[index] ^= 0x5A }
  try damaged.write(to: URL(fileURLWithPath: victim))
  try refusal(65, "Synthetic_002_0003.png", [])
  try image.write(to: URL(fileURLWithPath: victim))
  let usage =
    ranks == 1
    ? try run(bench.program, ["train", "--nonsense"])
    : try mpirun(ranks: ranks, bench.program, ["train", "--nonsense"])
  #expect(usage.code == 64 && usage.errors.contains("nonsense"))
}
