import Encoder
import Foundation
import Layers
import Randomness
import Tensor
import TestSupport
import Testing

/// Encoders saved by transformers, open_clip and timm give the hidden states that these libraries compute in double
/// on the same weights (`scripts/fixtures/originals.py`).

private struct Case {
  let fixture: Fixture
  let size: Int
  let heads: Int
  let depth: Int
  /// Of full-size cases: names and shapes of the tensors, in the generator's order.
  let tensors: [(name: String, shape: [Int])]

  init(_ name: String) throws {
    fixture = try Fixture("\(name).expected.safetensors")
    let object = try fixture.json("case")
    size = object["size"] as? Int ?? 0
    heads = object["heads"] as? Int ?? 0
    depth = object["depth"] as? Int ?? 0
    tensors = (object["tensors"] as? [[String: Any]] ?? []).map {
      ($0["name"] as? String ?? "", $0["shape"] as? [Int] ?? [])
    }
  }

  /// Runs the encoder on sin(0.1·k), k over [3, size, size], and hands each h⁽ⁱ⁾ [1 + N, D] to `body`.
  ///
  /// - Parameter areHeadsGiven: whether the encoder is told how many there are.
  func run(_ weights: String, areHeadsGiven: Bool = true, _ body: (Int, [Float]) throws -> Void) throws {
    let encoder = try ImageEncoder(
      EncoderOptions(weights: weights, imageSide: size, heads: areHeadsGiven ? heads : nil, loraBlocks: []),
      store: ParameterStore())
    #expect(encoder.depth == depth && encoder.heads == heads)
    let (p, g) = (encoder.patch, encoder.grid)
    let patches = Buffer(encoder.patchCount * encoder.patchValues)
    for token in 0..<encoder.patchCount {
      for place in 0..<encoder.patchValues {
        let (c, y, x) = (place / (p * p), token / g * p + place / p % p, token % g * p + place % p)
        patches.base[token * encoder.patchValues + place] = Float(sin(0.1 * Double((c * size + y) * size + x)))
      }
    }
    let h = Buffer(encoder.tokens * encoder.width)
    encoder.embed(h.base, patches: patches.base)
    try body(0, Array(UnsafeBufferPointer(start: h.base, count: h.count)))
    for (index, block) in encoder.blocks.enumerated() {
      let places = block.places(tokens: encoder.tokens, keeping: .nothing)
      let (saved, scratch) = (Buffer(places.savedCount), Buffer(places.scratchCount))
      block.forward(h.base, h.base, saved: saved.base, scratch: scratch.base, places)
      try body(index + 1, Array(UnsafeBufferPointer(start: h.base, count: h.count)))
    }
  }

  func expectStates(_ weights: String, reference: String) throws {
    try run(weights) { layer, found in
      let error = difference(found, try fixture.doubles("h\(layer)"))
      noteDifference("hidden states of small encoders", reference: reference, error, limit: 1e-4)
      #expect(error < 1e-4, "h\(layer)")
    }
  }
}

@Test(
  .eachLibrary,
  arguments: [
    "transformers-float32", "transformers-bfloat16", "open_clip-float32", "open_clip-float16", "open_clip-bfloat16",
    "timm-float32", "timm-float16",
  ]) func anEncoderSavedByItsOwnLibraryGivesThatLibrarysHiddenStates(name: String) throws
{
  try Case(name).expectStates(
    Fixture.path("\(name).safetensors"), reference: name.replacingOccurrences(of: "-", with: ", "))
}

@Test(.eachLibrary) func anotherImageSideAgreesWithOpenCLIPsInterpolation() throws {
  try Case("open_clip-resized").expectStates(
    Fixture.path("open_clip-float32.safetensors"), reference: "open_clip, float32, another image side")
}

/// Writes a safetensors file of weights that Python computes, too: the values of tensor i come from Philox with key
/// (i, 0x5EED) and counter (block of four, 0, 0, 0).
private func writeCountedWeights(_ tensors: [(name: String, shape: [Int])], to path: String) throws {
  var offset = 0
  let entries = tensors.map { tensor in
    let bytes = tensor.shape.reduce(4, *)
    defer { offset += bytes }
    return
      "\"\(tensor.name)\":{\"dtype\":\"F32\",\"shape\":\(tensor.shape),\"data_offsets\":[\(offset),\(offset + bytes)]}"
  }
  var header = "{" + entries.joined(separator: ",") + "}"
  while header.utf8.count % 8 != 0 { header += " " }
  _ = FileManager.default.createFile(atPath: path, contents: nil)
  let file = try #require(FileHandle(forWritingAtPath: path))
  try file.write(
    contentsOf: withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Data($0) } + Data(header.utf8))
  for (index, tensor) in tensors.enumerated() {
    let count = tensor.shape.reduce(1, *)
    let isVector = tensor.shape.count == 1
    let isNorm = isVector && tensor.name.hasSuffix("weight")
    let bound = isVector ? Float(0.1) : Float(pow(Double(count / tensor.shape[0]), -0.5))
    var values = [Float](repeating: 0, count: count)
    values.withUnsafeMutableBufferPointer { values in
      for start in stride(from: 0, to: count, by: 4) {
        let words = Philox.block(
          counter: SIMD4(UInt32(truncatingIfNeeded: start / 4), 0, 0, 0), key: SIMD2(UInt32(index), 0x5EED))
        for place in 0..<min(4, count - start) {
          let scaled = Float(Double(words[place]) / 4_294_967_296 * 2 - 1) * bound
          values[start + place] = isNorm ? 1 + scaled : scaled
        }
      }
    }
    try file.write(contentsOf: values.withUnsafeBytes { Data($0) })
  }
  try file.close()
}

@Test(.eachLibrary, arguments: ["vit-b16", "vit-b32", "vit-l14", "vit-h14", "vit-g14", "vit-bigg14"])
func fullSizeShapesGiveOpenCLIPsHiddenStatesOnWeightsThatAnyoneCanRecompute(name: String) throws {
  let full = try Case(name)
  let folder = try TemporaryFolder()
  try writeCountedWeights(full.tensors, to: "\(folder.path)/weights.safetensors")
  try full.run("\(folder.path)/weights.safetensors", areHeadsGiven: false) { layer, found in
    let expected = try full.fixture.doubles("h\(layer)")
    let step = found.count / expected.count
    let sampled = expected.indices.map { found[$0 * step] }
    let error = difference(sampled, expected, scale: try full.fixture.doubles("scale\(layer)")[0])
    noteDifference("hidden states at full size", reference: "open_clip, \(name)", error, limit: 1e-4)
    #expect(error < 1e-4, "h\(layer)")
  }
}

/// timm's values in double for a sine as the input (the data's README).
@Test(.eachLibrary, .enabled(if: optionalData != nil, "the pretrained ViT-Ti/16 is not there"))
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
