import Encoder
import Layers
import Networks
import Settings
import Tensor

/// Attention rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020): the class token's row
/// over the patches of Â⁽ᵏ⁾ ⋯ Â⁽¹⁾, Â⁽ⁱ⁾ = ½(A⁽ⁱ⁾ + I) with rows that sum to 1, A⁽ⁱ⁾ block i's attention as a mean over
/// its heads, LoRA included. It knows no class.
public struct AttentionRollout: ExplanationMethod {
  public let facts = MethodFacts(name: "rollout", title: "Attention rollout", source: "Abnar and Zuidema, ACL 2020")

  public init() {}

  public func passes(_ configuration: Configuration) -> Int { 1 }

  public func prepare(_ subject: ExplainedModel) -> @Sendable (any NetworkInference) -> any MapWorker {
    let encoder = subject.network.encoder
    return { _ in Worker(encoder) }
  }

  private final class Worker: MapWorker {
    private let encoder: ImageEncoder
    private let places: [TransformerBlock.Places]
    /// [N, 3·p·p].
    private let patches: Buffer
    /// h⁽ⁱ⁾ [T, D], T = 1 + N.
    private let hidden: Buffer
    /// Â⁽ⁱ⁾ [T, T].
    private let attention: Buffer
    /// Â⁽ⁱ⁾ ⋯ Â⁽¹⁾ [T, T], and room for the next.
    private var rollout: Buffer
    private var next: Buffer
    private let scratch: Buffer

    init(_ encoder: ImageEncoder) {
      self.encoder = encoder
      let T = encoder.tokens
      places = encoder.blocks.map { $0.places(tokens: T, keeping: .nothing) }
      patches = Buffer(encoder.patchCount * encoder.patchValues)
      hidden = Buffer(T * encoder.width)
      (attention, rollout, next) = (Buffer(T * T), Buffer(T * T), Buffer(T * T))
      scratch = Buffer(places.map(\.scratchCount).max() ?? 0)
    }

    var side: Int { encoder.grid }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap {
      let T = encoder.tokens
      view.pixels.withUnsafeBufferPointer { pixels in
        if let base = pixels.baseAddress { encoder.patchify(patches.base, pixels: base) }
      }
      let h = hidden.base
      encoder.embed(h, patches: patches.base)
      for (index, block) in encoder.blocks.enumerated() {
        block.meanAttention(attention.base, h, scratch: scratch.base, places[index])
        mixIdentity()
        if index == 0 {
          copy(rollout.base, attention.base, T * T)
        } else {
          multiply(next.base, attention.base, rollout.base, m: T, n: T, k: T)
          swap(&rollout, &next)
        }
        if index + 1 < encoder.depth { block.forward(h, h, saved: h, scratch: scratch.base, places[index]) }
      }
      return ExplanationMap(Array(UnsafeBufferPointer(start: rollout.base + 1, count: T - 1)))
    }

    /// A becomes ½(A + I), each row divided by its sum.
    private func mixIdentity() {
      let T = encoder.tokens
      for row in 0..<T {
        let values = attention.base + row * T
        values[row] += 1
        var sum = 0.0
        for column in 0..<T { sum += Double(values[column]) }
        let factor = Float(1 / sum)
        for column in 0..<T { values[column] *= factor }
      }
    }
  }
}
