import Branches
import Layers
import Networks
import Tensor

/// The model's forward pass for one image at a time, by the running statistics.
public final class LatticeInference: NetworkInference, @unchecked Sendable {
  private let model: LatticeModel
  private let at: LatticeLayout
  public let memory: Buffer
  private let scratch: Buffer

  /// Memory for one image; each thread has its own.
  ///
  /// - Parameter keepsSideLayers: gives each side layer's input a place of its own, for looking at them.
  public init(_ model: LatticeModel, keepsSideLayers: Bool = false) {
    self.model = model
    at = LatticeLayout(model, isTraining: false, keepsSideLayers: keepsSideLayers)
    memory = Buffer(at.count)
    scratch = Buffer(at.scratchCount)
  }

  public var trace: EncoderTrace { at.trace }
  /// h⁽ⁱ⁾ [1 + N, D] of a kept layer: fused, m − 1, or any from m to k (after `run`).
  public func hidden(_ layer: Int) -> Floats { at.trace.hidden(layer, memory.base) }

  /// The input [N, d] of side layer i, from 1: positions and the fused feature added. Where they are kept.
  public func sideLayerInput(_ layer: Int) -> ConstFloats { ConstFloats(memory.base + at.side.inputs[layer - 1]) }

  /// h_SBN [N, d], z [N, d], F [N, C], α [N] and the logits [C], after `run`.
  public var hSBN: ConstFloats { ConstFloats(at.hSBN(memory.base)) }
  public var z: ConstFloats { ConstFloats(memory.base + at.attention.z) }
  public var F: ConstFloats { ConstFloats(memory.base + at.attention.F) }
  public var alpha: ConstFloats { ConstFloats(at.alpha(memory.base)) }
  public var attentionLogits: ConstFloats { ConstFloats(memory.base + at.attention.logits) }
  public var logits: ConstFloats { ConstFloats(memory.base + at.perception.logits) }

  /// α.
  public var map: ConstFloats? { alpha }

  /// All blocks of the encoder, from the patches: h⁽ᵏ⁾ in its place.
  public func encodeWholly() { at.trace.forward(.pixels, memory.base, scratch: scratch.base) }

  public func run(_ input: SampleInput) { run(input, phase: .alpha) }

  /// The whole model, from what `input` says is there.
  ///
  /// - Parameter phase: `alpha` gives the model's prediction and map; `ones` leaves α and F unwritten.
  public func run(_ input: SampleInput = .pixels, phase: Phase) {
    let m = memory.base
    at.trace.forward(input, readsLayers: phase.usesAttention, m, scratch: scratch.base)
    if phase.usesAttention {
      Profile.of(.sideBranch) {
        model.side.forward(
          m, at.side, patches: patches, feature: { ConstFloats(self.feature($0)) }, scratch: scratch.base)
      }
      Profile.of(.attentionBranch) {
        model.attention.infer(m, at.attention, hSBN: hSBN, scratch: scratch.base)
      }
    }
    Profile.of(.perceptionBranch) {
      model.perception.infer(
        m, at.perception, h: at.h(m), alpha: phase.usesAttention ? alpha : nil, scratch: scratch.base)
    }
  }

  /// softmax of the perception branch's logits [C]: p(ŷ).
  public func probabilities() -> [Float] { Branches.probabilities(logits, classes: model.classes) }

  /// logits_PB + logits_AB [C]: what the authors' earlier protocol predicts by.
  public func summedLogits() -> [Float] {
    (0..<model.classes).map { logits[$0] + attentionLogits[$0] }
  }

  /// CE(PB) of a label.
  public func loss(label: Int, imageID: Int) -> Double { crossEntropy(logits, label: label, classes: model.classes) }
}

extension LatticeInference: DifferentiableInference {
  public var activations: ConstFloats {
    model.perception.input(memory.base, at.perception, h: at.h(memory.base))
  }

  public func gradient(ofLogit label: Int) -> ConstFloats {
    ConstFloats(
      model.perception.inferBackward(
        ofLogit: label, memory.base, at.perception, alpha: alpha, scratch: scratch.base))
  }
}
