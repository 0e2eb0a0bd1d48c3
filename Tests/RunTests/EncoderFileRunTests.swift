import Foundation
import Safetensors
import TestSupport
import Testing

/// What a run does with the files that hold and describe its encoder.

/// Writes the bench's encoder as float16, whole and as two shards with an index; returns both paths.
private func writeHalves(_ root: String) throws -> (whole: String, index: String) {
  let file = try SafetensorsFile(path: "\(root)/data/encoder.safetensors")
  let halves = file.tensors.values.sorted { $0.name < $1.name }.map { tensor in
    let values = file.bytes(of: tensor).bindMemory(to: Float.self).map { Float16($0) }
    return (name: tensor.name, type: "F16", shape: tensor.shape, bytes: values.withUnsafeBytes { Data($0) })
  }
  try FileManager.default.createDirectory(atPath: "\(root)/shards", withIntermediateDirectories: true)
  try writeSafetensors([], others: halves, to: "\(root)/whole.safetensors")
  var map: [String: String] = [:]
  for (name, shard) in [("one.safetensors", halves.prefix(20)), ("two.safetensors", halves.dropFirst(20))] {
    try writeSafetensors([], others: Array(shard), to: "\(root)/shards/\(name)")
    for tensor in shard { map[tensor.name] = name }
  }
  let index = "\(root)/shards/model.safetensors.index.json"
  try JSONSerialization.data(withJSONObject: ["weight_map": map]).write(to: URL(fileURLWithPath: index))
  return ("\(root)/whole.safetensors", index)
}

@Test func shardedWeightsTrainJudgeAndExportAsOneFileDoes() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  let (whole, index) = try writeHalves(root)
  for (name, ranks, weights) in [("whole", 1, whole), ("sharded", 2, index)] {
    let result = try bench.ala(
      "train", ranks: ranks, run: name, ["--set", "encoder.weights=\(weights)", "--set", "training.epochs=1"])
    #expect(result.code == 0, "\(result.errors)")
    let merged = try run(
      bench.program, ["export", "--merge-lora", "--checkpoint", "\(root)/\(name)", "--out", "\(root)/\(name).merged"])
    #expect(merged.code == 0, "\(merged.errors)")
  }
  #expect(try bench.digest("whole") == bench.digest("sharded"))
  #expect(try bench.checkpoint("sharded").text("encoder_sha256") == SafetensorsFile.sha256(path: index))
  let (one, other) = (
    try SafetensorsFile(path: "\(root)/whole.merged"), try SafetensorsFile(path: "\(root)/sharded.merged")
  )
  #expect(Set(one.tensors.keys) == Set(other.tensors.keys))
  for (name, tensor) in one.tensors {
    let same = try #require(other.tensors[name])
    #expect(one.bytes(of: tensor).elementsEqual(other.bytes(of: same)), "\(name)")
  }
  let seen = try run(bench.program, ["inspect", index])
  let digest = try SafetensorsFile.sha256(path: index)
  #expect(seen.code == 0 && seen.output.contains(digest), "\(seen.errors)")
  let alone = try bench.ala("train", run: "alone", ["--set", "encoder.weights=\(root)/shards/one.safetensors"])
  #expect(alone.code == 65 && alone.errors.contains(index), "\(alone.errors)")
}

@Test func weightsAreNotJudgedOrGoneOnWithUnderAnotherActivationThanTheyWereTrainedWith() throws {
  let bench = try TrainingBench()
  let root = bench.folder.path
  func configure(_ activation: String) throws {
    try Data(
      "{\"hidden_size\": 64, \"num_attention_heads\": 2, \"patch_size\": 8, \"hidden_act\": \"\(activation)\"}".utf8
    ).write(to: URL(fileURLWithPath: "\(root)/data/config.json"))
  }
  try configure("gelu")
  let trained = try bench.ala("train", run: "run", ["--stop-after-steps", "1"])
  #expect(trained.code == 0, "\(trained.errors)")
  let log = try String(contentsOfFile: "\(root)/run/log.txt", encoding: .utf8)
  #expect(log.contains("heads 2 (config.json), activation gelu (config.json)"), "\(log)")
  try configure("quick_gelu")
  let resumed = try bench.ala("train", run: "run")
  #expect(resumed.code == 78 && resumed.errors.contains("quickgelu"), "\(resumed.code) \(resumed.errors)")
  let judged = try bench.ala("evaluate", run: "run", ["--checkpoint", "\(root)/run", "--out", "\(root)/out"])
  #expect(judged.code == 78 && judged.errors.contains("quickgelu"), "\(judged.code) \(judged.errors)")
  let set = try bench.ala("train", run: "run", ["--set", "encoder.activation=gelu", "--stop-after-steps", "1"])
  #expect(set.code == 78 && set.errors.contains("encoder.activation"), "a setting that changes is told as before")
  try configure("gelu")
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
}
