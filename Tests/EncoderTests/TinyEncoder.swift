import Encoder
import Foundation
import Layers
import Safetensors
import Tensor

/// The tensors of a tiny image encoder in one of the three spellings, for tests to change.
struct TinyEncoder {
  let spelling: Spelling
  let width: Int
  /// By name: shape and values.
  var tensors: [String: (shape: [Int], values: [Float])] = [:]

  static let patch = 8
  static let side = 16

  init(_ spelling: Spelling, width D: Int = 64, blocks: Int = 3) {
    self.spelling = spelling
    width = D
    let p = Self.patch
    func pair(_ name: String, _ outputs: Int, _ inputs: Int) {
      add("\(name).weight", [outputs, inputs])
      add("\(name).bias", [outputs])
    }
    func norm(_ name: String) {
      add("\(name).weight", [D], about: 1)
      add("\(name).bias", [D])
    }
    switch spelling {
    case .huggingFace:
      let tower = "vision_model."
      add("\(tower)embeddings.class_embedding", [D])
      add("\(tower)embeddings.patch_embedding.weight", [D, 3, p, p])
      add("\(tower)embeddings.position_embedding.weight", [5, D])
      norm("\(tower)pre_layrnorm")
      for block in 0..<blocks {
        let stem = "\(tower)encoder.layers.\(block)"
        norm("\(stem).layer_norm1")
        norm("\(stem).layer_norm2")
        for map in ["q_proj", "k_proj", "v_proj", "out_proj"] { pair("\(stem).self_attn.\(map)", D, D) }
        pair("\(stem).mlp.fc1", 4 * D, D)
        pair("\(stem).mlp.fc2", D, 4 * D)
      }
      norm("\(tower)post_layernorm")
    case .openCLIP, .timm:
      let isTimm = spelling == .timm
      let tower = isTimm ? "" : "visual."
      add(isTimm ? "cls_token" : "\(tower)class_embedding", isTimm ? [1, 1, D] : [D])
      add(isTimm ? "patch_embed.proj.weight" : "\(tower)conv1.weight", [D, 3, p, p])
      if isTimm { add("patch_embed.proj.bias", [D]) }
      add(isTimm ? "pos_embed" : "\(tower)positional_embedding", isTimm ? [1, 5, D] : [5, D])
      if !isTimm { norm("\(tower)ln_pre") }
      for block in 0..<blocks {
        let stem = isTimm ? "blocks.\(block)" : "\(tower)transformer.resblocks.\(block)"
        norm(isTimm ? "\(stem).norm1" : "\(stem).ln_1")
        norm(isTimm ? "\(stem).norm2" : "\(stem).ln_2")
        let fused = isTimm ? "\(stem).attn.qkv." : "\(stem).attn.in_proj_"
        add("\(fused)weight", [3 * D, D])
        add("\(fused)bias", [3 * D])
        pair(isTimm ? "\(stem).attn.proj" : "\(stem).attn.out_proj", D, D)
        pair(isTimm ? "\(stem).mlp.fc1" : "\(stem).mlp.c_fc", 4 * D, D)
        pair(isTimm ? "\(stem).mlp.fc2" : "\(stem).mlp.c_proj", D, 4 * D)
      }
      norm(isTimm ? "norm" : "\(tower)ln_post")
    }
  }

  /// Adds a tensor of values within ±0.1 about a centre.
  mutating func add(_ name: String, _ shape: [Int], about centre: Float = 0) {
    let seed = Double(tensors.count)
    tensors[name] = (
      shape, (0..<shape.reduce(1, *)).map { centre + 0.1 * Float(sin(Double($0) * 1.7 + seed * 0.61)) }
    )
  }

  /// What a block's names begin with, the tower's own prefix among them; counted from 0.
  func stem(_ block: Int) -> String {
    switch spelling {
    case .huggingFace: "vision_model.encoder.layers.\(block)"
    case .openCLIP: "visual.transformer.resblocks.\(block)"
    case .timm: "blocks.\(block)"
    }
  }

  mutating func remove(below prefix: String) { tensors = tensors.filter { !$0.key.hasPrefix(prefix) } }

  /// Writes the tensors whose names pass, behind a prefix.
  @discardableResult
  func write(
    _ path: String, prefix: String = "", others: [(name: String, type: String, shape: [Int], bytes: Data)] = [],
    where isWritten: (String) -> Bool = { _ in true }
  ) throws -> String {
    let written = tensors.filter { isWritten($0.key) }.sorted { $0.key < $1.key }
    try writeSafetensors(
      written.map { (name: prefix + $0.key, shape: $0.value.shape, values: $0.value.values) }, others: others, to: path)
    return path
  }
}

/// Options for a tiny encoder's file.
func tinyOptions(_ path: String, _ change: (inout EncoderOptions) -> Void = { _ in }) -> EncoderOptions {
  var options = EncoderOptions(weights: path, imageSide: TinyEncoder.side, loraBlocks: [])
  change(&options)
  return options
}

/// h⁽ᵏ⁾ [1 + N, D] of sin(0.1·i), i over [N, 3·p·p].
func lastStates(_ encoder: ImageEncoder) -> [Float] {
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
