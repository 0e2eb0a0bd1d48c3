import Foundation
import Layers
import Tensor

/// The encoder's file with LoRA's updates merged in.
extension ImageEncoder {
  /// Every floating-point tensor of the file under its own name, as float32; the updated ones are W⁽⁰⁾ + s·B·A.
  public func mergedTensors() throws -> [(name: String, shape: [Int], values: [Float])] {
    var updates: [String: [(row: Int, linear: Linear)]] = [:]
    for (index, block) in blocks.enumerated() {
      let stem = spelling.block(index)
      let fused = spelling.fusedWeight
      for (part, name, linear) in [(0, "q", block.q), (1, "k", block.k), (2, "v", block.v)] {
        let tensor = fused.map { "\(stem).\($0)" } ?? "\(stem).self_attn.\(name)_proj.weight"
        updates[tensor, default: []].append((fused == nil ? 0 : part * width, linear))
      }
      for (name, linear) in [(spelling.attentionOut, block.out), (spelling.fc1, block.fc1), (spelling.fc2, block.fc2)] {
        updates["\(stem).\(name).weight", default: []].append((0, linear))
      }
    }
    return try file.weights.allTensors().map { name, bareName, shape, values in
      var merged = values
      for (row, linear) in updates[bareName] ?? [] {
        guard let lora = linear.lora else { continue }
        merged.withUnsafeMutableBufferPointer { buffer in
          guard let base = buffer.baseAddress else { return }
          multiply(
            base + row * linear.inputs, lora.b.values, lora.a.values, m: linear.outputs, n: lora.rank,
            k: linear.inputs, scale: lora.scale, beta: 1)
        }
      }
      return (name, shape, merged)
    }
  }

  /// The file's tensors that are no weights (position numbers and the like), as they lie there.
  public func otherTensors() -> [(name: String, type: String, shape: [Int], bytes: Data)] {
    file.weights.otherTensors()
  }
}
