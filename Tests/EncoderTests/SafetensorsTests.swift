import Encoder
import Failures
import Foundation
import Layers
import Tensor
import TestSupport
import Testing

private func write(_ header: String, data: Int, to path: String, length: UInt64? = nil) throws {
  var bytes = Data()
  withUnsafeBytes(of: (length ?? UInt64(header.utf8.count)).littleEndian) { bytes.append(contentsOf: $0) }
  bytes.append(Data(header.utf8))
  bytes.append(Data(repeating: 0, count: data))
  try bytes.write(to: URL(fileURLWithPath: path))
}

@Test(arguments: [
  "{", "[]", "{\"a\":1}", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,16]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
  "{\"a\":{\"dtype\":\"F32\",\"shape\":[1.5],\"data_offsets\":[0,8]}}",
]) func aHeaderThatBreaksTheFormatIsRefused(header: String) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  try write(header, data: 8, to: path)
  let failure = #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
  #expect(failure?.code == .badData && failure?.message.contains(path) == true)
}

@Test func aFileThatIsCutOffAtAnyLengthIsRefused() throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  let source = "\(repositoryRoot)/Tests/AttentionLatticeTests/Fixtures/clip.encoder.safetensors"
  let bytes = FileManager.default.contents(atPath: source) ?? Data()
  for trial in 0..<60 {
    try bytes.prefix(trial < 20 ? trial : (trial * 7919) % bytes.count).write(to: URL(fileURLWithPath: path))
    #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
  }
  try write("{}", data: 0, to: path, length: .max)
  #expect(throws: Failure.self) { try SafetensorsFile(path: path) }
}

/// A file with the given tensors of zeros.
private func write(_ tensors: [(name: String, shape: [Int])], to path: String) throws {
  var entries: [String] = []
  var offset = 0
  for (name, shape) in tensors {
    let bytes = 4 * shape.reduce(1, *)
    entries.append("\"\(name)\":{\"dtype\":\"F32\",\"shape\":\(shape),\"data_offsets\":[\(offset),\(offset + bytes)]}")
    offset += bytes
  }
  try write("{\(entries.joined(separator: ","))}", data: offset, to: path)
}

@Test(arguments: [
  [("conv1.weight", [64, 3, 7, 7]), ("fc.weight", [10, 64])],
  [("visual.conv1.weight", [32, 3, 3, 3]), ("visual.attnpool.positional_embedding", [50, 64])],
  [("patch_embed.proj.weight", [64, 3, 8, 8]), ("cls_token", [1, 1, 64]), ("blocks.0.ls1.gamma", [64])],
  [("patch_embed.proj.weight", [64, 3, 8, 8]), ("cls_token", [1, 1, 64]), ("reg_token", [1, 4, 64])],
]) func anotherKindOfNetworkIsRefusedByItsFile(tensors: [(String, [Int])]) throws {
  let folder = try TemporaryFolder()
  let path = "\(folder.path)/w.safetensors"
  try write(tensors.map { (name: $0.0, shape: $0.1) }, to: path)
  let failure = #expect(throws: Failure.self) {
    try ImageEncoder(EncoderOptions(weights: path, imageSide: 32, loraBlocks: []), store: ParameterStore())
  }
  #expect(failure?.code == .badData && failure?.message.contains(path) == true, "\(failure?.message ?? "")")
}

@Test func settingsThatDoNotFitTheEncoderAreRefusedWithTheirKey() throws {
  let source = "\(repositoryRoot)/Tests/AttentionLatticeTests/Fixtures/clip.encoder.safetensors"
  func refusal(_ change: (inout EncoderOptions) -> Void) -> Failure? {
    var options = EncoderOptions(weights: source, imageSide: 24, heads: 2, loraBlocks: [])
    change(&options)
    do {
      _ = try ImageEncoder(options, store: ParameterStore())
      return nil
    } catch { return error as? Failure }
  }
  #expect(refusal { _ in } == nil)
  for (change, key) in [
    ({ $0.imageSide = 25 }, "image.size"), ({ $0.heads = 3 }, "encoder.heads"), ({ $0.heads = nil }, "encoder.heads"),
    ({ $0.depth = 4 }, "encoder.depth"), ({ $0.loraBlocks = [4] }, "lora.blocks"),
  ] as [((inout EncoderOptions) -> Void, String)] {
    let failure = refusal(change)
    #expect(failure?.code == .badConfiguration && failure?.message.contains(key) == true, "\(key)")
  }
  #expect(refusal { $0.weights = "/nowhere.safetensors" }?.code == .missingInput)
}

/// timm's values in double for a sine as the input (the data's README).
@Test(.enabled(if: optionalData != nil, "the pretrained ViT-Ti/16 is not there"))
func thePretrainedViTGivesTimmsValues() throws {
  let encoder = try ImageEncoder(
    EncoderOptions(
      weights: "\(optionalData ?? "")/vit_tiny_patch16_224.safetensors", imageSide: 224, loraBlocks: []),
    store: ParameterStore())
  let patches = Buffer(196 * 768)
  for token in 0..<196 {
    for place in 0..<768 {
      let (c, y, x) = (place / 256, token / 14 * 16 + place % 256 / 16, token % 14 * 16 + place % 16)
      patches.base[token * 768 + place] = Float(sin(0.001 * Double(c * 50176 + y * 224 + x)))
    }
  }
  let h = Buffer(197 * 192)
  encoder.embed(h.base, patches: patches.base)
  func near(_ at: Int, _ expected: [Float]) -> Bool {
    expected.enumerated().allSatisfy { abs(h.base[at + $0] - $1) < 1e-4 }
  }
  #expect(near(0, [-0.704270, -0.067423, -0.145605, 0.180163]))
  #expect(near(192, [1.275956, -0.225172, -2.606891, 1.624617]))
  let places = encoder.blocks[0].places(tokens: 197, keeping: .nothing)
  let (saved, scratch) = (Buffer(places.savedCount), Buffer(places.scratchCount))
  encoder.blocks[0].forward(h.base, h.base, saved: saved.base, scratch: scratch.base, places)
  #expect(near(192, [0.474196, -0.618932, -0.350841, 0.684982]))
}
