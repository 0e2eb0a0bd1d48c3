#if BFloat16
  import Safetensors
  import Encoder
  import Files
  import Foundation
  import Layers
  import Tensor
  import TestSupport
  import Testing

  /// The encoder in bfloat16 against itself in float32.

  private let isAvailable = (try? BFloat16Support.current()) != nil

  /// h⁽ᵏ⁾ [1 + N, D] of sin(0.1·k), k over [size, size, 3].
  private func output(_ encoder: ImageEncoder) -> [Float] {
    let patches = Buffer(encoder.patchCount * encoder.patchValues)
    for index in 0..<patches.count { patches.base[index] = Float(sin(0.1 * Double(index))) }
    let h = Buffer(encoder.tokens * encoder.width)
    encoder.embed(h.base, patches: patches.base)
    for block in encoder.blocks {
      let places = block.places(tokens: encoder.tokens, keeping: .nothing)
      let (saved, scratch) = (Buffer(places.savedCount), Buffer(places.scratchCount))
      block.forward(h.base, h.base, saved: saved.base, scratch: scratch.base, places)
    }
    return Array(UnsafeBufferPointer(start: h.base, count: h.count))
  }

  /// The spellings differ in whether q, k and v are one tensor.
  @Test(.enabled(if: isAvailable), arguments: ["transformers", "open_clip", "timm"])
  func inBFloat16EveryTokenPointsWhereItDoesInFloat32(library: String) throws {
    let path = Fixture.path("\(library)-float32.safetensors")
    func encoder(_ precision: Precision) throws -> ImageEncoder {
      try ImageEncoder(
        EncoderOptions(weights: path, imageSide: 32, heads: 2, loraBlocks: [], precision: precision),
        store: ParameterStore())
    }
    let width = try encoder(.float32).width
    let (exact, reduced) = (output(try encoder(.float32)), output(try encoder(.bfloat16)))
    var smallest = 1.0
    for token in 0..<(exact.count / width) {
      let pairs = (0..<width).map { (Double(exact[token * width + $0]), Double(reduced[token * width + $0])) }
      let cosine =
        pairs.reduce(0) { $0 + $1.0 * $1.1 }
        / (pairs.reduce(0) { $0 + $1.0 * $1.0 } * pairs.reduce(0) { $0 + $1.1 * $1.1 }).squareRoot()
      smallest = min(smallest, cosine)
    }
    // Operands are off by up to 2⁻⁹; a few blocks of independent roundings turn a token by some 2⁻⁸: 1 − cos ≈ 2⁻¹⁷.
    #expect(smallest > 0.9998 && smallest < 1, "\(smallest)")
  }

  @Test(.enabled(if: isAvailable), arguments: [(Precision.bfloat16, ProductLibrary.openblas), (.float32, .onednn)])
  func onlyBlocksBelowTheFirstWithLoRAArePacked(precision: Precision, products: ProductLibrary) throws {
    let encoder = try ImageEncoder(
      EncoderOptions(
        weights: Fixture.path("timm-float32.safetensors"), imageSide: 32, heads: 2, loraBlocks: [2], loraRank: 2,
        loraTargets: ["q"], precision: precision, products: products), store: ParameterStore())
    for (index, block) in encoder.blocks.enumerated() {
      for map in [block.q, block.k, block.v, block.out, block.fc1, block.fc2] {
        #expect(map.packed?.product.shape.precision == (index < 1 ? precision : nil), "block \(index + 1)")
      }
    }
  }

  @Test func whatRunsNoFrozenBlocksSharesNoPackedWeightsAndGetsTheSameValuesWhereItDoesAfterAll() throws {
    let options = EncoderOptions(
      weights: Fixture.path("timm-float32.safetensors"), imageSide: 32, heads: 2, loraBlocks: [], products: .onednn)
    var sharings = 0
    let outputs = try [true, false].map { runsFrozenBlocks in
      let file = try EncoderFile(
        options,
        share: {
          sharings += 1
          return try MappedMemory(byteCount: $0, fill: $1)
        }, runsFrozenBlocks: runsFrozenBlocks)
      return output(try ImageEncoder(file, options, store: ParameterStore()))
    }
    #expect(sharings == 1)
    #expect(outputs[0] == outputs[1])
  }

  /// Packed below block 2, and as they lie from there on, with LoRA on q alone.
  @Test(arguments: ["transformers", "open_clip", "timm"], [[], [2]])
  func byOneDNNEveryValueIsThatOfOpenBLASToRounding(library: String, loraBlocks: [Int]) throws {
    let stores = (ParameterStore(), ParameterStore())
    func encoder(_ products: ProductLibrary, _ store: ParameterStore) throws -> ImageEncoder {
      let made = try ImageEncoder(
        EncoderOptions(
          weights: Fixture.path("\(library)-float32.safetensors"), imageSide: 32, heads: 2, loraBlocks: loraBlocks,
          loraRank: 2, loraTargets: ["q"], products: products), store: store)
      try store.allocate(training: false)
      for index in 0..<store.values.count { store.values.base[index] = Float(sin(Double(index))) / 4 }
      return made
    }
    defer { withExtendedLifetime(stores) {} }
    let (packed, plain) = (try encoder(.onednn, stores.0), try encoder(.openblas, stores.1))
    let (found, expected) = (output(packed), output(plain))
    // Both err by a few units in the last place of the largest sums in a handful of layers.
    let error = difference(found, expected.map { Double($0) })
    #expect(error < 1e-5, "\(error)")
  }
#endif
