import Digests
import Failures
import Files
import Foundation
import Safetensors
import TestSupport
import Testing

/// Two shards, a.safetensors with x and y, b.safetensors with z, and their index.
private struct Shards {
  let folder: TemporaryFolder
  var index: String { path("model.safetensors.index.json") }

  init() throws {
    folder = try TemporaryFolder()
    try writeSafetensors([("x", [2], [1, 2]), ("y", [1], [3])], to: path("a.safetensors"))
    try writeSafetensors([("z", [2, 1], [4, 5])], to: path("b.safetensors"))
    try writeIndex(["x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"])
  }

  func path(_ name: String) -> String { "\(folder.path)/\(name)" }

  func writeIndex(_ map: Any) throws {
    try JSONSerialization.data(withJSONObject: ["metadata": ["total_size": 20], "weight_map": map]).write(
      to: URL(fileURLWithPath: index))
  }

  func refusal(_ name: String? = nil) -> Failure? {
    do {
      _ = try SafetensorsFile(path: name.map(path) ?? index)
      return nil
    } catch { return error as? Failure }
  }
}

@Test func anIndexMakesItsShardsOneFile() throws {
  let shards = try Shards()
  let file = try SafetensorsFile(path: shards.index)
  #expect(SafetensorsFile.isIndex(path: shards.index) && !SafetensorsFile.isIndex(path: shards.path("a.safetensors")))
  #expect(Set(file.tensors.keys) == ["x", "y", "z"])
  for (name, shape, values) in [("x", [2], [1, 2]), ("y", [1], [3]), ("z", [2, 1], [4, 5])]
    as [(String, [Int], [Float])]
  {
    let tensor = try #require(file.tensors[name])
    #expect(
      tensor.shape == shape && file.path(of: tensor) == shards.path(name == "z" ? "b.safetensors" : "a.safetensors"))
    #expect(Array(file.bytes(of: tensor).bindMemory(to: Float.self)) == values)
  }
}

/// As `cat model.safetensors.index.json a.safetensors b.safetensors | sha256sum` has it.
@Test func theDigestOfShardedWeightsIsThatOfTheIndexThenTheShardsInTheOrderOfTheirNames() throws {
  let shards = try Shards()
  let joined = try ["model.safetensors.index.json", "a.safetensors", "b.safetensors"].map {
    try Data(contentsOf: URL(fileURLWithPath: shards.path($0)))
  }.reduce(Data(), +)
  #expect(try SafetensorsFile.sha256(path: shards.index) == joined.withUnsafeBytes { SHA256.of($0) })
  let one = shards.path("b.safetensors")
  #expect(try SafetensorsFile.sha256(path: one) == SHA256.ofFile(one))
  try writeSafetensors([("z", [2, 1], [4, 6])], to: one)
  #expect(try SafetensorsFile.sha256(path: shards.index) != joined.withUnsafeBytes { SHA256.of($0) })
}

@Test func anIndexThatDoesNotFitItsShardsIsRefusedWithTheNames() throws {
  let shards = try Shards()
  let whole = ["x": "a.safetensors", "y": "a.safetensors", "z": "b.safetensors"]
  for (map, words) in [
    (whole.merging(["w": "b.safetensors"]) { $1 }, ["b.safetensors", "tensor w"]),
    (whole.filter { $0.key != "y" }, ["a.safetensors", "tensor y"]),
    (whole.merging(["z": "../b.safetensors"]) { $1 }, ["../b.safetensors", "folder"]),
    (whole.merging(["z": "/b.safetensors"]) { $1 }, ["/b.safetensors", "folder"]),
    (whole.merging(["z": ""]) { $1 }, ["weight_map"]), ([:], ["weight_map"]), (["x": 1], ["weight_map"]),
    (["x": "pytorch_model-00001-of-00002.bin"], ["torch", "scripts/convert-weights"]),
  ] as [([String: Any], [String])] {
    try shards.writeIndex(map)
    let failure = shards.refusal()
    #expect(failure?.code == .badData, "\(failure?.message ?? "")")
    for word in words { #expect(failure?.message.contains(word) == true, "\(failure?.message ?? "")") }
    #expect(throws: Failure.self) { try SafetensorsFile(path: shards.index) }
  }
  try shards.writeIndex(whole.merging(["z": "c.safetensors"]) { $1 })
  let missing = shards.refusal()
  #expect(missing?.code == .missingInput && missing?.message.contains("c.safetensors") == true)
  #expect(missing?.message.contains("index.json") == true)
}

@Test func aShardThatIsCutOffIsNamed() throws {
  let shards = try Shards()
  let bytes = try Data(contentsOf: URL(fileURLWithPath: shards.path("b.safetensors")))
  for length in 0..<bytes.count {
    try bytes.prefix(length).write(to: URL(fileURLWithPath: shards.path("b.safetensors")))
    let failure = shards.refusal()
    #expect(failure?.code == .badData && failure?.message.contains("b.safetensors") == true, "\(length)")
  }
}

@Test func oneShardOfSeveralIsKnownByItsIndexOrItsName() throws {
  let shards = try Shards()
  #expect(ShardIndex.whatToGiveInstead(ofShard: shards.path("a.safetensors")) == "give \(shards.index)")
  try writeSafetensors([("z", [1], [4])], to: shards.path("whole.safetensors"))
  #expect(ShardIndex.whatToGiveInstead(ofShard: shards.path("whole.safetensors")) == nil)
  #expect(ShardIndex.whatToGiveInstead(ofShard: shards.index) == nil)
  let named = "/nowhere/model-00002-of-00003.safetensors"
  #expect(ShardIndex.whatToGiveInstead(ofShard: named)?.contains("index.json") == true)
  #expect(ShardIndex.whatToGiveInstead(ofShard: "/nowhere/model-00001-of-00001.safetensors") == nil)
}

@Test func aFIFOInPlaceOfAShardIsNamedAndNotWaitedFor() throws {
  let shards = try Shards()
  let one = shards.path("b.safetensors")
  unlink(one)
  try #require(mkfifo(one, 0o644) == 0)
  let words = "\(one): is a FIFO; expected a regular file (a shard of \(shards.index))"
  #expect(throws: Failure.badData(words)) { try SafetensorsFile.sha256(path: shards.index) }
  #expect(throws: Failure.badData(words)) { try SafetensorsFile(path: shards.index) }
}
