import Foundation
import Images
import Storage
import TestSupport
import Testing

/// `ala evaluate` as users run it.

/// A trained model on a small synthetic set; made once for all tests of this file.
private struct Trained: Sendable {
  let root: String
  let program = builtProgram("ala")

  static let shared = Result { try Trained() }

  init() throws {
    root = NSTemporaryDirectory() + "ala-test-evaluation-\(getpid())"
    try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    let made = try run(
      program, ["synth", "--out", "\(root)/data", "--classes", "3", "--images-per-class", "24", "--size", "32"])
    try #require(made.code == 0, "\(made.errors)")
    try """
    run: {dir: \(root)/run}
    data: {root: \(root)/data}
    image: {size: 32}
    encoder: {weights: \(root)/data/encoder.safetensors}
    lora: {blocks: [3], rank: 4}
    side: {width: 24, heads: 3, layers: 2, fusion: [0, 2]}
    attention: {padding: replicate}
    perception: {channels: [32, 32]}
    training: {epochs: 8, batch: 8, lr: 2.0e-3, clip: 1}
    evaluation: {steps: 64}
    """.write(toFile: "\(root)/c.yaml", atomically: true, encoding: .utf8)
    let trained = try run(program, ["train", "--config", "\(root)/c.yaml"])
    try #require(trained.code == 0, "\(trained.errors)")
  }

  func evaluate(
    to out: String, ranks: Int = 1, _ arguments: [String] = [], whileRunning: ((Int32) -> Void)? = nil
  ) throws -> ProcessResult {
    let all =
      [
        "evaluate", "--config", "\(root)/c.yaml", "--checkpoint", "\(root)/run", "--out", "\(root)/\(out)", "--threads",
        "1",
      ]
      + arguments
    return ranks == 1
      ? try run(program, all, whileRunning: whileRunning)
      : try mpirun(ranks: ranks, program, all, whileRunning: whileRunning)
  }

  func file(_ path: String) -> Data { FileManager.default.contents(atPath: "\(root)/\(path)") ?? Data() }

  func summary(_ out: String) throws -> [String: Any] {
    try JSONSerialization.jsonObject(with: file("\(out)/summary.json")) as? [String: Any] ?? [:]
  }

  /// What does not depend on how the evaluation came about.
  func results(_ out: String) -> [Data] {
    ["summary.json", "per_image.csv", "explanations.h5"].map { file("\(out)/\($0)") }
  }
}

@Test func evaluationDoesNotDependOnTheNumberOfRanks() throws {
  let trained = try Trained.shared.get()
  for ranks in [1, 2, 3] {
    let result = try trained.evaluate(to: "ranks\(ranks)", ranks: ranks)
    #expect(result.code == 0 && result.output.contains("insertion"), "\(result.errors)")
  }
  let expected = trained.results("ranks1")
  #expect(expected.allSatisfy { !$0.isEmpty })
  #expect(trained.results("ranks2") == expected && trained.results("ranks3") == expected)
}

@Test(arguments: ["ala", "rise", "gradcam", "rollout"])
func mapsAndCascadesOfEveryMethodAreTheSameAtAnyNumberOfRanksAndThreads(method: String) throws {
  let trained = try Trained.shared.get()
  let arguments = [
    "--method", method, "--limit", "6", "--cascade", "2", "--set", "evaluation.steps=0", "--set", "rise.masks=12",
    "--set", "data.segmentations=none",
  ]
  for ranks in [1, 2, 3, 4] {
    let own = ranks == 2 ? ["--threads", "2"] : []
    let result = try trained.evaluate(to: "\(method)\(ranks)", ranks: ranks, arguments + own)
    #expect(
      result.code == 0 && result.output.contains("of how many images (2 of 6 images; seed 0)"), "\(result.errors)")
  }
  let expected = trained.results("\(method)1") + [trained.file("\(method)1/cascade.csv")]
  #expect(expected.allSatisfy { !$0.isEmpty })
  for ranks in [2, 3, 4] {
    let found = trained.results("\(method)\(ranks)") + [trained.file("\(method)\(ranks)/cascade.csv")]
    #expect(found == expected, "\(ranks) ranks")
  }
  let cascade = try #require(try trained.summary("\(method)1")["cascade"] as? [String: Any])
  let stages = try #require(cascade["stages"] as? [[String: Any]])
  #expect(
    stages.compactMap { $0["name"] as? String } == [
      "classifier", "perception", "attention", "side", "block_4", "block_3", "block_2", "block_1",
    ])
  // α is made beside the perception branch, and rollout of the encoder alone.
  let first = ["ala": 2, "rollout": 4][method] ?? 0
  for (index, stage) in stages.enumerated() {
    #expect(((stage["spearman"] as? Double ?? 0) > 1 - 1e-12) == (index < first), "\(stage)")
  }
}

@Test func anInterruptedCascadeGoesOnAndEndsInTheSameFiles() throws {
  let trained = try Trained.shared.get()
  let arguments = [
    "--method", "rise", "--cascade", "4", "--limit", "6", "--set", "evaluation.steps=0", "--set", "rise.masks=100",
  ]
  #expect(try trained.evaluate(to: "cascade-whole", ranks: 2, arguments).code == 0)
  let folder = "\(trained.root)/cascade-parts"
  let interrupted = try trained.evaluate(to: "cascade-parts", ranks: 2, arguments) { process in
    while !FileManager.default.fileExists(atPath: "\(folder)/.unfinished-side"), kill(process, 0) == 0 { usleep(2000) }
    kill(process, SIGUSR1)
  }
  #expect(interrupted.code == 75, "\(interrupted.errors)")
  // Without the cascade nothing of it is left; asked for again it begins anew.
  let other = "\(trained.root)/cascade-left"
  try FileManager.default.copyItem(atPath: folder, toPath: other)
  let plain = Array(arguments.prefix(2) + arguments.dropFirst(4))
  #expect(try trained.evaluate(to: "cascade-left", plain).code == 0)
  let rest = try FileManager.default.contentsOfDirectory(atPath: other)
  #expect(
    rest.contains("summary.json") && !rest.contains { $0.contains("unfinished") || $0.contains("cascade") }, "\(rest)")

  let last = try trained.evaluate(to: "cascade-parts", ranks: 3, arguments)
  #expect(last.code == 0 && last.errors.contains("are done already"), "\(last.errors)")
  let names = ["summary.json", "per_image.csv", "explanations.h5", "cascade.csv"]
  #expect(names.map { trained.file("cascade-parts/\($0)") } == names.map { trained.file("cascade-whole/\($0)") })
  let left = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix(".unfinished") }
  #expect(left.isEmpty, "\(left)")
}

@Test func aCascadeThatCannotBeIsRefusedBeforeAnythingIsDone() throws {
  let trained = try Trained.shared.get()
  for (arguments, words) in [
    (["--cascade", "0"], "--cascade is 0"),
    (["--cascade", "3", "--method", "gaussian"], "method gaussian does not read"),
    (["--cascade", "3", "--method", "randomised:ala"], "does not read the trained model"),
  ] {
    let result = try trained.evaluate(to: "cascade-refused", arguments)
    #expect(result.code == 64 && result.errors.contains(words), "\(result.errors)")
  }
  #expect(!FileManager.default.fileExists(atPath: "\(trained.root)/cascade-refused"))
}

@Test func anEvaluationThatIsInterruptedOrKilledGoesOnAndEndsInTheSameFiles() throws {
  let trained = try Trained.shared.get()
  let whole = try trained.evaluate(to: "whole", ["--set", "evaluation.steps=400"])
  #expect(whole.code == 0, "\(whole.errors)")
  func evaluate(_ ranks: Int, _ whileRunning: ((Int32) -> Void)? = nil) throws -> ProcessResult {
    try trained.evaluate(to: "parts", ranks: ranks, ["--set", "evaluation.steps=400"], whileRunning: whileRunning)
  }
  let interrupted = try evaluate(2) { process in
    usleep(1_500_000)
    kill(process, SIGUSR1)
  }
  #expect(interrupted.code == 75 && interrupted.errors.contains("run the same command again"), "\(interrupted.errors)")
  #expect(trained.file("parts/summary.json").isEmpty)
  _ = try evaluate(1) { process in
    usleep(1_000_000)
    kill(process, SIGKILL)
  }
  let last = try evaluate(3)
  #expect(last.code == 0 && last.errors.contains("are done already"), "\(last.errors)")
  #expect(trained.results("parts") == trained.results("whole"))
  #expect(!FileManager.default.fileExists(atPath: "\(trained.root)/parts/.unfinished"))
}

@Test func aSubsetIsFixedByItsSeedAndSaidInEveryOutput() throws {
  let trained = try Trained.shared.get()
  for (name, ranks, seed) in [("five", 1, "3"), ("again", 2, "3"), ("other", 1, "4")] {
    let result = try trained.evaluate(to: name, ranks: ranks, ["--limit", "5", "--seed", seed])
    #expect(result.code == 0 && result.output.contains("5 of 36 images; seed \(seed)"), "\(result.errors)")
  }
  #expect(trained.results("five") == trained.results("again"))
  #expect(trained.file("five/per_image.csv") != trained.file("other/per_image.csv"))
  let settings = try trained.summary("five")["settings"] as? [String: Any]
  #expect(settings?["subset"] as? String == "5 of 36 images; seed 3")
  let lines = String(decoding: trained.file("five/per_image.csv"), as: UTF8.self).split(separator: "\n")
  #expect(lines.count == 6 && lines.dropFirst().allSatisfy { $0.hasSuffix("5 of 36 images; seed 3") })
  #expect(
    try HDF5Contents("\(trained.root)/five/explanations.h5", probe: builtProgram("ala")).lines.contains {
      $0.contains("5 of 36 images; seed 3")
    })
}

@Test func masksThatAreMissingEmptyOrOfAnotherSizeAreNamedAndCounted() throws {
  let trained = try Trained.shared.get()
  let masks = "\(trained.root)/masks"
  try FileManager.default.copyItem(atPath: "\(trained.root)/data/segmentations", toPath: masks)
  let split = try JSONSerialization.jsonObject(with: trained.file("run/split.json")) as? [String: [Int]]
  let lines = try String(contentsOfFile: "\(trained.root)/data/images.txt", encoding: .utf8).split(separator: "\n")
  let paths = (split?["test"] ?? []).prefix(3).compactMap { id in
    lines.first { $0.hasPrefix("\(id) ") }?.split(separator: " ").last
  }.map { "\(masks)/\(($0 as NSString).deletingPathExtension).png" }
  try FileManager.default.removeItem(atPath: paths[0])
  func black(_ width: Int, _ height: Int) throws -> Data {
    Data(
      try encodePNG(RGBImage(width: width, height: height, pixels: [UInt8](repeating: 0, count: width * height * 3))))
  }
  let size = try imageSize(path: paths[1])
  try black(size.width, size.height).write(to: URL(fileURLWithPath: paths[1]))
  try black(size.width + 1, size.height).write(to: URL(fileURLWithPath: paths[2]))
  let arguments = ["--set", "data.segmentations=\(masks)", "--set", "evaluation.steps=0"]
  let refused = try trained.evaluate(to: "masks-refused", ranks: 2, arguments)
  #expect(refused.code == 65 && refused.errors.contains(paths[2]) && refused.errors.contains("data.skip_unreadable"))
  let result = try trained.evaluate(
    to: "masks-out", ranks: 2, arguments + ["--set", "data.skip_unreadable=true"])
  #expect(result.code == 0, "\(result.errors)")
  for path in paths.dropFirst() { #expect(result.errors.contains(path), "\(path)") }
  let summary = try trained.summary("masks-out")
  let counts = summary["counts"] as? [String: Int] ?? [:]
  #expect(
    counts["with_mask"] == 34 && counts["mask_absent"] == 1 && counts["mask_empty"] == 1
      && counts["mask_wrong_size"] == 1)
  #expect(summary["insertion"] is NSNull)

  let none = try trained.evaluate(to: "no-masks", ["--set", "data.segmentations=none", "--set", "evaluation.steps=0"])
  #expect(none.code == 0 && none.errors.contains("left out: mean IoU and PxAP: no image has a mask"), "\(none.errors)")
  #expect((try trained.summary("no-masks")["mean_iou"] as? [String: Any])?.isEmpty == true)
}

/// Labels 0 and 1 instead of black and white.
@Test func masksOfLevelsZeroAndOneAreToldOfOnceAndReadWithAThreshold() throws {
  let trained = try Trained.shared.get()
  let masks = "\(trained.root)/labels"
  try FileManager.default.copyItem(atPath: "\(trained.root)/data/segmentations", toPath: masks)
  for name in FileManager.default.enumerator(atPath: masks)?.compactMap({ $0 as? String }) ?? []
  where name.hasSuffix(".png") {
    let mask = try decodeImage(path: "\(masks)/\(name)")
    let labels = (0..<(mask.width * mask.height)).map { mask.pixels[3 * $0] > 127 ? UInt8(1) : 0 }
    try Data(try encodePNG(GrayImage(width: mask.width, height: mask.height, pixels: labels)))
      .write(to: URL(fileURLWithPath: "\(masks)/\(name)"))
  }
  let arguments = ["--set", "data.segmentations=\(masks)", "--set", "evaluation.steps=0"]
  let dark = try trained.evaluate(to: "dark", arguments)
  #expect(dark.code == 0)
  let told = dark.errors.components(separatedBy: "have no level above data.mask_threshold (127)").count - 1
  #expect(told == 1 && dark.errors.contains("with levels 0, 1;"), "\(dark.errors)")
  let read = try trained.evaluate(to: "read", arguments + ["--set", "data.mask_threshold=0"])
  #expect(read.code == 0 && !read.errors.contains("data.mask_threshold"))
  let plain = try trained.evaluate(to: "plain", ["--set", "evaluation.steps=0"])
  #expect(plain.code == 0)
  let (one, other) = (try trained.summary("read"), try trained.summary("plain"))
  #expect(one["mean_iou"] as? [String: Double] == other["mean_iou"] as? [String: Double])
}

/// The committed quick start, as a user gets it.
@Test func mapsOfATrainedModelBeatThoseOfItsRandomisedSelfAndTheControls() throws {
  let folder = try TemporaryFolder()
  let (root, program) = (folder.path, builtProgram("ala"))
  #expect(try run(program, ["synth", "--out", "\(root)/data"]).code == 0)
  let settings = [
    "--config", "\(repositoryRoot)/configs/quickstart.yaml", "--set", "data.root=\(root)/data", "--set",
    "encoder.weights=\(root)/data/encoder.safetensors", "--set", "run.dir=\(root)/run", "--set", "cache.dir=null",
    "--set",
    "evaluation.steps=0", "--threads", "1",
  ]
  #expect(try mpirun(ranks: 2, program, ["train"] + settings).code == 0)
  let result = try mpirun(
    ranks: 2, program, ["evaluate", "--checkpoint", "\(root)/run", "--out", "\(root)/test"] + settings)
  #expect(result.code == 0, "\(result.errors)")
  let data = FileManager.default.contents(atPath: "\(root)/test/summary.json") ?? Data()
  let summary = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
  let own = (summary["mean_iou"] as? [String: Double])?["mean_std"] ?? 0
  let controls = summary["controls"] as? [String: [String: Double]] ?? [:]
  for name in ["randomised_model", "centred_gaussian", "random"] {
    let control = try #require(controls[name]?["mean_std"])
    #expect(own > control + 0.2, "\(name): \(own) against \(control)")
  }
}

@Test func everySubstrateTargetAndProtocolIsMeasuredAndRecorded() throws {
  let trained = try Trained.shared.get()
  var seen: Set<String> = []
  for settings in [[], ["substrate=mean"], ["substrate=blur"], ["target=predicted"], ["protocol=lab"]] {
    let name = "kind-" + (settings.first ?? "standard")
    let result = try trained.evaluate(to: name, ["--limit", "6"] + settings.flatMap { ["--set", "evaluation.\($0)"] })
    #expect(result.code == 0, "\(result.errors)")
    let summary = try trained.summary(name)
    let insertion = try #require(summary["insertion"] as? Double)
    let deletion = try #require(summary["deletion"] as? Double)
    let id = try #require(summary["id"] as? Double)
    #expect(abs(insertion - deletion - id) < 1e-12 && (0...1).contains(insertion) && (0...1).contains(deletion))
    seen.insert("\(insertion) \(deletion)")
    let curve = try #require((summary["insertion_curve"] as? [String: [Double]]))
    #expect(curve["mean"]?.count == (settings == ["protocol=lab"] ? 48 : 65))
  }
  // The target follows the true class where the prediction is right.
  #expect(seen.count >= 4)
}

@Test func whatEveryRankFindsAlikeOneOfThemWarnsOf() throws {
  let trained = try Trained.shared.get()
  let result = try trained.evaluate(
    to: "warned", ranks: 3, ["--limit", "1000", "--set", "evaluation.steps=0"])
  #expect(result.code == 0, "\(result.errors)")
  let warnings = result.errors.split(separator: "\n").filter { $0.hasPrefix("warning: ") }
  #expect(warnings.contains { $0.contains("--limit 1000 has no effect") }, "\(result.errors)")
  let lines = warnings.map { $0.replacing(#/ \(rank [0-9]+ on .*\)$/#, with: "") }
  #expect(Set(lines).count == lines.count, "\(result.errors)")
}
