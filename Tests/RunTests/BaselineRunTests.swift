import Foundation
import Storage
import TestSupport
import Testing

/// What is promised of every network that the trainer trains, with the baselines' networks.

/// A lattice whose first LoRA block is the last, and what networks of a table read: one cache for all of them.
private func makeBench() throws -> TrainingBench { try TrainingBench(lanes: 4, cache: "shared") }

private let networks = [
  "abn": ["--set", "model.kind=abn"], "cam": ["--set", "model.kind=cam", "--set", "training.optimizer=sgd"],
]

@Test(arguments: ["abn", "cam"]) func aBaselineGivesTheSameBitsAtAnyWorldSizeAndGoesOn(kind: String) throws {
  let bench = try makeBench()
  let own = try #require(networks[kind]) + ["--set", "cache.dir=null"]
  for ranks in [1, 2, 4] {
    let result = try bench.ala("train", ranks: ranks, run: "\(ranks)", threads: 3 - min(ranks, 2), own)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try bench.digest("\(ranks)") == bench.digest("1"), "\(ranks) ranks")
  }
  for steps in [3, 4] {
    #expect(try bench.ala("train", ranks: 2, run: "parts", own + ["--stop-after-steps", "\(steps)"]).code == 0)
  }
  #expect(try bench.ala("train", run: "parts", own).code == 0)
  #expect(try bench.digest("parts") == bench.digest("1"))
  #expect(try bench.ala("train", ranks: 3, run: "3", own).code == 0)
  for (x, y) in zip(try bench.checkpoint("1").model, try bench.checkpoint("3").model) {
    let error = difference(y.values, x.values.map { Double($0) })
    #expect(error < 1e-5, "\(x.name)")
  }
}

@Test func oneCacheIsReadByEveryNetworkThatFindsItsLayersThereWithTheBitsOfLiveImages() throws {
  let bench = try makeBench()
  let made = try bench.ala(
    "cache", ranks: 2, run: "all", ["--set", "cache.layers=[0, 1, 2]", "--set", "lora.blocks=[3]"])
  #expect(made.code == 0, "\(made.errors)")
  let rows: [(name: String, own: [String])] =
    [
      ("iv", []), ("i", ["--set", "lora.blocks=[]"]), ("ii", ["--set", "side.fusion=[]"]),
      ("later", ["--set", "lora.blocks=[4]", "--set", "side.fusion=[1, 3]"]),
    ] + networks.map { ($0.key, $0.value) }
  for row in rows {
    let cached = try bench.ala("train", run: "\(row.name)-cached", row.own)
    #expect(cached.code == 0 && cached.errors.contains("from the cache"), "\(row.name): \(cached.errors)")
    #expect(try bench.ala("train", run: "\(row.name)-live", row.own + ["--set", "cache.dir=null"]).code == 0)
    #expect(try bench.digest("\(row.name)-cached") == bench.digest("\(row.name)-live"), "\(row.name)")
    // A pass of the row's own settings finds the cache whole, and leaves it as it is.
    #expect(try bench.ala("cache", run: "\(row.name)-cached", row.own).code == 0)
  }
  // Also where the list stands in a row's settings.
  let listed = try bench.ala("train", run: "listed", ["--set", "lora.blocks=[]", "--set", "cache.layers=[0, 1, 2]"])
  #expect(listed.code == 0 && listed.errors.contains("from the cache"), "\(listed.errors)")
  for own in [["--set", "lora.blocks=[2]"], ["--set", "cache.dtype=float16"]] {
    let stale = try bench.ala("train", run: "stale", own + ["--resume", "never", "--stop-after-steps", "1"])
    #expect(stale.code == 0 && stale.errors.contains("the cache is not used"), "\(stale.errors)")
  }
  let wrong = try bench.ala("cache", run: "all", ["--set", "cache.layers=[0, 3]"])
  #expect(wrong.code == 78 && wrong.errors.contains("cache.layers names layer 3"), "\(wrong.errors)")
}

@Test func aDamagedRowOfASharedCacheIsMadeAnewForANetworkThatReadsLessOfIt() throws {
  let bench = try makeBench()
  #expect(try bench.ala("cache", run: "all", ["--set", "cache.layers=[0, 1, 2]"]).code == 0)
  let own = try #require(networks["abn"])
  #expect(try bench.ala("train", run: "sound", own).code == 0)
  let shard = "\(bench.folder.path)/cache/shard-00000-of-00001.h5"
  let handle = try #require(FileHandle(forUpdatingAtPath: shard))
  let size = try handle.seekToEnd()
  try handle.seek(toOffset: size / 2)
  let byte = try #require(try handle.read(upToCount: 1)?.first)
  try handle.seek(toOffset: size / 2)
  try handle.write(contentsOf: Data([byte ^ 0x55]))
  try handle.close()
  let result = try bench.ala("train", ranks: 2, run: "damaged", own)
  #expect(result.code == 0 && result.errors.contains("it is made anew"), "\(result.errors)")
  #expect(try bench.digest("damaged") == bench.digest("sound"))
}

@Test func weightsOfAnotherNetworkAreRefusedAndNamed() throws {
  let bench = try makeBench()
  #expect(try bench.ala("train", run: "cam", ["--set", "model.kind=cam", "--stop-after-steps", "1"]).code == 0)
  let (root, program) = (bench.folder.path, bench.program)
  func refused(_ arguments: [String], _ words: String) throws {
    let result = try TestSupport.run(program, arguments)
    #expect(result.code == 78 && result.errors.contains(words), "\(arguments): \(result.errors)")
  }
  let settings = ["--config", "\(root)/c.yaml"]
  let words = "holds a network of kind cam, the settings describe one of kind lattice (model.kind)"
  try refused(["evaluate", "--checkpoint", "\(root)/cam", "--out", "\(root)/e"] + settings, words)
  try refused(["train", "--init", "\(root)/cam/checkpoints/last.h5", "--set", "run.dir=\(root)/new"] + settings, words)
  try refused(["train", "--set", "run.dir=\(root)/cam"] + settings, "model.kind is lattice, the run has cam")
  let image = "\(root)/data/images"
  try refused(["explain", image, "--checkpoint", "\(root)/cam", "--out", "\(root)/x"] + settings, words)
  // A method explains the network that it was made for.
  try refused(
    ["explain", image, "--checkpoint", "\(root)/cam", "--out", "\(root)/x", "--method", "ala"],
    "method ala explains a network of kind lattice; this one is of kind cam")
  try refused(
    ["evaluate", "--checkpoint", "\(root)/cam", "--out", "\(root)/e", "--method", "abn"],
    "method abn explains a network of kind abn; this one is of kind cam")
  #expect(
    try TestSupport.run(program, ["explain", image, "--checkpoint", "\(root)/cam", "--out", "\(root)/x"]).code == 0)
}

@Test func theBestByLossIsTheOneOfTheLowestValidationLoss() throws {
  let bench = try makeBench()
  #expect(
    try bench.ala("train", run: "loss", ["--set", "training.select=loss", "--set", "training.lr=3e-3"]).code == 0)
  let valid = try bench.metrics("loss").filter { $0["split"] as? String == "valid" }
  let lowest = try #require(valid.min { ($0["loss"] as? Double ?? 0) < ($1["loss"] as? Double ?? 0) })
  let best = try Checkpoint.read("\(bench.folder.path)/loss/checkpoints/best.h5")
  #expect(best.integer("epoch") == lowest["epoch"] as? Int)
}
