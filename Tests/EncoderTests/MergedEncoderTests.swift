import Encoder
import Foundation
import Layers
import Randomness
import Safetensors
import Tensor
import TestSupport
import Testing

/// LoRA's update, and the encoder into which it is merged, give what the original library gives on W⁽⁰⁾ + s·B·A
/// (`scripts/fixtures/originals.py` merges on its own).
@Test(.eachLibrary, arguments: ["transformers", "open_clip", "timm"])
func loraAndTheMergedEncoderGiveTheLibrarysStatesOnMergedWeights(library: String) throws {
  let fixture = try Fixture("\(library)-merged.expected.safetensors")
  let path = Fixture.path("\(library)-float32.safetensors")
  let store = ParameterStore()
  let encoder = try ImageEncoder(
    EncoderOptions(weights: path, imageSide: 32, heads: 2, loraBlocks: [2], loraRank: 3, loraScale: 0.5), store: store)
  try store.allocate(training: false)
  for (index, parameter) in store.parameters.sorted(by: { $0.name < $1.name }).enumerated() {
    let values = (0..<parameter.count).map { place -> Float in
      let words = Philox.block(
        counter: SIMD4(UInt32(place / 4), 0, 0, 0), key: SIMD2(UInt32(1000 + index), 0x5EED))
      return Float(Double(words[place % 4]) / 4_294_967_296 * 2 - 1) * 0.3
    }
    store.set(parameter, fromFile: values)
  }
  func states(_ encoder: ImageEncoder) -> [[Float]] {
    let patches = Buffer(encoder.patchCount * encoder.patchValues)
    let (p, g) = (encoder.patch, encoder.grid)
    for token in 0..<encoder.patchCount {
      for place in 0..<encoder.patchValues {
        let (c, y, x) = (place / (p * p), token / g * p + place / p % p, token % g * p + place % p)
        patches.base[token * encoder.patchValues + place] = Float(sin(0.1 * Double((c * 32 + y) * 32 + x)))
      }
    }
    let h = Buffer(encoder.tokens * encoder.width)
    encoder.embed(h.base, patches: patches.base)
    return [Array(UnsafeBufferPointer(start: h.base, count: h.count))]
      + encoder.blocks.map { block in
        let places = block.places(tokens: encoder.tokens, keeping: .nothing)
        let (saved, scratch) = (Buffer(places.savedCount), Buffer(places.scratchCount))
        block.forward(h.base, h.base, saved: saved.base, scratch: scratch.base, places)
        return Array(UnsafeBufferPointer(start: h.base, count: h.count))
      }
  }
  func expectStates(_ found: [[Float]], _ quantity: String) throws {
    for (layer, values) in found.enumerated() {
      let error = difference(values, try fixture.doubles("h\(layer)"))
      noteDifference(quantity, reference: "\(library), float32", error, limit: 1e-4)
      #expect(error < 1e-4, "\(quantity), h\(layer)")
    }
  }
  try expectStates(states(encoder), "hidden states with LoRA")

  let folder = try TemporaryFolder()
  let merged = try encoder.mergedTensors()
  try writeSafetensors(merged, to: "\(folder.path)/merged.safetensors")
  let again = try ImageEncoder(
    EncoderOptions(weights: "\(folder.path)/merged.safetensors", imageSide: 32, heads: 2, loraBlocks: []),
    store: ParameterStore())
  try expectStates(states(again), "hidden states of the merged export")
  let original = try SafetensorsFile(path: path)
  #expect(Set((merged.map(\.name) + encoder.otherTensors().map(\.name))) == Set(original.tensors.keys))
  #expect(merged.allSatisfy { original.tensors[$0.name]?.shape == $0.shape })
}

@Test func tensorsThatAreNoWeightsKeepTheirTypesAndBytesInAMergedExport() throws {
  let folder = try TemporaryFolder()
  let original = try SafetensorsFile(path: Fixture.path("transformers-float32.safetensors"))
  let tensors = original.tensors.values.map { tensor in
    let bytes = original.bytes(of: tensor)
    return (
      name: tensor.name, shape: tensor.shape,
      values: (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    )
  }
  let numbers: [Int64] = [0, 1, 1 << 60]
  let others = [
    (name: "flag", type: "BOOL", shape: [1], bytes: Data([1])),
    (name: "embeddings.position_ids", type: "I64", shape: [1, 3], bytes: numbers.withUnsafeBytes { Data($0) }),
  ]
  try writeSafetensors(tensors, others: others, to: "\(folder.path)/e.safetensors")
  let store = ParameterStore()
  let encoder = try ImageEncoder(
    EncoderOptions(
      weights: "\(folder.path)/e.safetensors", imageSide: 32, heads: 2, loraBlocks: [2], loraRank: 3, loraScale: 0.5),
    store: store)
  try store.allocate(training: false)
  try writeSafetensors(
    try encoder.mergedTensors(), others: encoder.otherTensors(), to: "\(folder.path)/merged.safetensors")
  let merged = try SafetensorsFile(path: "\(folder.path)/merged.safetensors")
  for other in others {
    let tensor = try #require(merged.tensors[other.name])
    #expect(tensor.type == other.type && tensor.shape == other.shape && Data(merged.bytes(of: tensor)) == other.bytes)
  }
  #expect(merged.tensors.values.allSatisfy { $0.type != "I64" || $0.bytes.lowerBound % 8 == 0 })
  #expect(merged.tensors.count == tensors.count + others.count)
}
