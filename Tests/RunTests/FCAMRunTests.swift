import Foundation
import Storage
import TestSupport
import Testing

/// What is promised of F-CAM's decoder under the trainer, with a classifier of the same small set.
private struct DecoderBench {
  let bench: TrainingBench
  var root: String { bench.folder.path }
  /// Settings of the decoder.
  var own: [String] {
    [
      "--set", "model.kind=fcam", "--set", "fcam.classifier=\(root)/cam", "--set", "fcam.widths=[8, 6, 4]", "--set",
      "fcam.skips=[2, 0]", "--set", "fcam.crf_weight=1.0e-6", "--set", "training.optimizer=sgd", "--set",
      "training.lr=0.05", "--set", "training.select=loss", "--set", "training.epochs=2",
    ]
  }

  init(cache: String = "null") throws {
    bench = try TrainingBench(lanes: 4, cache: cache)
    let cam = try train("cam", ["--set", "model.kind=cam", "--set", "training.lr=0.05", "--set", "cache.dir=null"])
    try #require(cam.code == 0, "\(cam.errors)")
  }

  func train(_ name: String, ranks: Int = 1, threads: Int = 1, _ arguments: [String]) throws -> ProcessResult {
    try bench.ala("train", ranks: ranks, run: name, threads: threads, arguments)
  }
}

@Test func aDecoderGivesTheSameBitsAtAnyWorldSizeAndGoesOn() throws {
  let decoder = try DecoderBench()
  let (bench, own) = (decoder.bench, decoder.own)
  for ranks in [1, 2, 4] {
    let result = try decoder.train("\(ranks)", ranks: ranks, threads: 3 - min(ranks, 2), own)
    #expect(result.code == 0, "\(result.errors)")
    #expect(try bench.digest("\(ranks)") == bench.digest("1"), "\(ranks) ranks")
  }
  for steps in [3, 4] {
    #expect(try decoder.train("parts", ranks: 2, own + ["--stop-after-steps", "\(steps)"]).code == 0)
  }
  #expect(try decoder.train("parts", own).code == 0)
  #expect(try bench.digest("parts") == bench.digest("1"))
  #expect(try decoder.train("3", ranks: 3, own).code == 0)
  for (x, y) in zip(try bench.checkpoint("1").model, try bench.checkpoint("3").model) {
    #expect(difference(y.values, x.values.map { Double($0) }) < 1e-5, "\(x.name)")
  }
  for (x, y) in zip(try bench.metrics("1"), try bench.metrics("3")) {
    for key in ["loss", "loss_seed", "loss_size", "loss_crf"] {
      guard let p = x[key] as? Double, let q = y[key] as? Double else { continue }
      #expect(abs(p - q) < 1e-5 * max(1, abs(p)), "\(key)")
    }
  }
  let checkpoint = try bench.checkpoint("1")
  #expect(checkpoint.text("network") == "fcam")
  // The best of the classifier's run is what is explained.
  let best = try Checkpoint.read("\(decoder.root)/cam/checkpoints/best.h5")
  #expect(checkpoint.text("explains_sha256") == best.text("model_sha256"))
  #expect(checkpoint.model.allSatisfy { $0.name.hasPrefix("fcam.decoder.") })
}

@Test func aDecoderLearnsFromACacheWithTheBitsOfLiveImages() throws {
  let decoder = try DecoderBench(cache: "decoder")
  let (bench, own) = (decoder.bench, decoder.own)
  #expect(try bench.ala("cache", ranks: 2, run: "cached", own).code == 0)
  let cached = try decoder.train("cached", own)
  #expect(cached.code == 0 && cached.errors.contains("from the cache"), "\(cached.errors)")
  #expect(try decoder.train("live", own + ["--set", "cache.dir=null"]).code == 0)
  #expect(try bench.digest("cached") == bench.digest("live"))
}

@Test func aDecodersMapHasTheSideOfTheImageAndItsPredictionsAreTheClassifiers() throws {
  let decoder = try DecoderBench()
  let (root, program) = (decoder.root, decoder.bench.program)
  #expect(try decoder.train("run", decoder.own).code == 0)
  func evaluate(_ checkpoint: String, _ out: String, ranks: Int = 1, _ more: [String] = []) throws {
    let arguments =
      ["evaluate", "--config", "\(root)/c.yaml", "--checkpoint", "\(root)/\(checkpoint)", "--out", "\(root)/\(out)"]
      + ["--set", "evaluation.steps=4"] + more
    let result =
      ranks == 1
      ? try TestSupport.run(program, arguments) : try mpirun(ranks: ranks, program, arguments)
    #expect(result.code == 0, "\(result.errors)")
  }
  try evaluate("run", "decoder", decoder.own)
  try evaluate("run", "two", ranks: 2, decoder.own)
  try evaluate("cam", "classifier", ["--set", "model.kind=cam"])
  func bytes(_ path: String) throws -> Data { try Data(contentsOf: URL(fileURLWithPath: "\(root)/\(path)")) }
  for file in ["summary.json", "per_image.csv"] { #expect(try bytes("decoder/\(file)") == bytes("two/\(file)")) }
  let own = try HDF5File.open("\(root)/decoder/explanations.h5")
  let classifiers = try HDF5File.open("\(root)/classifier/explanations.h5")
  let shape = try own.dataset("/map").shape
  #expect(Array(shape.suffix(2)) == [32, 32])
  let map = try own.readArray("/map", .float32, of: Float.self)
  #expect(map.allSatisfy { $0 > 0 && $0 < 1 })
  #expect(
    try own.readArray("/probability", .float32, of: Float.self)
      == classifiers.readArray("/probability", .float32, of: Float.self))
  // Without settings, from what the checkpoint carries.
  let images = try FileManager.default.subpathsOfDirectory(atPath: "\(root)/data/images")
  let image = "\(root)/data/images/" + (try #require(images.first { $0.hasSuffix(".png") || $0.hasSuffix(".jpg") }))
  let explained = try TestSupport.run(
    program, ["explain", image, "--checkpoint", "\(root)/run", "--out", "\(root)/x"])
  #expect(explained.code == 0, "\(explained.errors)")
}

@Test func aDecoderWithoutItsClassifierIsRefusedWithASentence() throws {
  let decoder = try DecoderBench()
  let (bench, own, root) = (decoder.bench, decoder.own, decoder.root)
  func refused(_ run: String, _ arguments: [String], _ words: String, code: Int32 = 78) throws {
    let result = try decoder.train(run, arguments)
    #expect(result.code == code && result.errors.contains(words), "\(arguments): \(result.errors)")
  }
  try refused("none", ["--set", "model.kind=fcam"], "fcam.classifier names none")
  try refused(
    "gone", own + ["--set", "fcam.classifier=\(root)/nowhere"], "fcam.classifier \(root)/nowhere: is missing", code: 66)
  #expect(try decoder.train("lattice", ["--stop-after-steps", "1"]).code == 0)
  try refused(
    "lattice-of", own + ["--set", "fcam.classifier=\(root)/lattice"], "F-CAM's decoder explains one of kind cam")
  try refused("deep", own + ["--set", "encoder.depth=2"], "encoder.depth")
  try refused("far", own + ["--set", "fcam.skips=[9]"], "names layer 9; the encoder runs blocks 1 to 4")
  try refused("even", own + ["--set", "fcam.erosion=4"], "fcam.erosion is 4; expected an odd number")
  try refused("few", own + ["--set", "data.classes=[1, 2]"], "knows 3 classes")
  // A run goes on, and is judged, with the classifier that it began with.
  #expect(try decoder.train("run", own + ["--stop-after-steps", "2"]).code == 0)
  let another = ["--set", "model.kind=cam", "--set", "training.lr=0.01", "--set", "run.seed=7"]
  #expect(try decoder.train("another", another).code == 0)
  let other = own + ["--set", "fcam.classifier=\(root)/another"]
  try refused("run", other, "explains the classifier of model_sha256")
  let judged = try bench.ala(
    "evaluate", run: "run", other + ["--checkpoint", "\(root)/run", "--out", "\(root)/e"])
  #expect(judged.code == 78 && judged.errors.contains("explains the classifier of model_sha256"), "\(judged.errors)")
  let method = try bench.ala(
    "evaluate", run: "cam",
    ["--set", "model.kind=cam", "--checkpoint", "\(root)/cam", "--out", "\(root)/m", "--method", "fcam"])
  #expect(
    method.code == 78 && method.errors.contains("method fcam explains a network of kind fcam"), "\(method.errors)")
}
