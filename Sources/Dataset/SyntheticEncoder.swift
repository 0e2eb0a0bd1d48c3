import Foundation
import Randomness
import Safetensors

/// A tiny encoder in Hugging Face's spelling, with weights that nobody trained but that keep what a patch shows:
/// its filters see colours and edges, and its blocks change tokens little.
struct SyntheticEncoder: Sendable {
  let side: Int
  let seed: UInt64

  static let patch = 8
  static let width = 64
  static let blocks = 4

  func write(to path: String) throws {
    let (D, p) = (Self.width, Self.patch)
    let grid = side / p
    var tensors: [(name: String, shape: [Int], values: [Float])] = []
    func add(_ name: String, _ shape: [Int], _ value: (inout RandomStream) -> Double) {
      var stream = RandomStream(seed: seed, name: "synth-encoder/\(name)")
      let count = shape.reduce(1, *)
      tensors.append((name, shape, (0..<count).map { _ in Float(value(&stream)) }))
    }
    func norm(_ name: String) {
      add("\(name).weight", [D]) { _ in 1 }
      add("\(name).bias", [D]) { _ in 0 }
    }
    func linear(_ name: String, _ outputs: Int, _ inputs: Int, _ scale: Double) {
      add("\(name).weight", [outputs, inputs]) { $0.normal() * scale / Double(inputs).squareRoot() }
      add("\(name).bias", [outputs]) { _ in 0 }
    }
    let stem = "vision_model.embeddings"
    add("\(stem).class_embedding", [D]) { $0.normal() * 0.3 }
    tensors.append(("\(stem).patch_embedding.weight", [D, 3, p, p], filters()))
    add("\(stem).position_embedding.weight", [1 + grid * grid, D]) { $0.normal() * 0.05 }
    norm("vision_model.pre_layrnorm")
    for block in 0..<Self.blocks {
      let stem = "vision_model.encoder.layers.\(block)"
      norm("\(stem).layer_norm1")
      for part in ["q", "k", "v"] { linear("\(stem).self_attn.\(part)_proj", D, D, 0.7) }
      linear("\(stem).self_attn.out_proj", D, D, 0.3)
      norm("\(stem).layer_norm2")
      linear("\(stem).mlp.fc1", 4 * D, D, 1)
      linear("\(stem).mlp.fc2", D, 4 * D, 0.4)
    }
    norm("vision_model.post_layernorm")
    try writeSafetensors(tensors, to: path)
  }

  /// [D, 3, p, p]: random colour directions, each constant, a slope or a wave over the patch.
  private func filters() -> [Float] {
    let (D, p) = (Self.width, Self.patch)
    var values: [Float] = []
    for output in 0..<D {
      var stream = RandomStream(seed: seed, name: "synth-encoder/filters", index: UInt64(output))
      let colour = (0..<3).map { _ in stream.normal() }
      let (fx, fy) = (stream.uniform(-1.2, 1.2), stream.uniform(-1.2, 1.2))
      let phase = stream.uniform(0, 2 * .pi)
      let isFlat = output % 2 == 0
      for channel in 0..<3 {
        for y in 0..<p {
          for x in 0..<p {
            let shape = isFlat ? 1 : cos(fx * Double(x) + fy * Double(y) + phase)
            values.append(Float(colour[channel] * shape / Double(p * p) * 2))
          }
        }
      }
    }
    return values
  }
}
