import Encoder
import Layers
import Tensor

/// The model's forward pass for one image at a time, by the running statistics: no result depends on which other
/// images there are, or on which thread or rank does it.
public final class Inference: @unchecked Sendable {
  public let model: LatticeModel
  private let trace: EncoderTrace
  private let memory: Buffer
  private let scratch: Buffer
  private let encoderPlaces: EncoderTrace.Places
  private let sidePlaces: SideBranch.Places
  private let attentionPlaces: AttentionBranch.Places
  private let perceptionPlaces: PerceptionBranch.Places

  /// Memory for one image; each thread has its own.
  ///
  /// - Parameter keepsSideLayers: gives each side layer's input a place of its own, for looking at them.
  public init(_ model: LatticeModel, keepsSideLayers: Bool = false) {
    self.model = model
    let trace = EncoderTrace(model, isTraining: false)
    self.trace = trace
    let D = model.encoder.width
    var layout = Layout()
    encoderPlaces = trace.places(&layout)
    sidePlaces = model.side.places(&layout, encoderWidth: D, keeping: .nothing, keepsInputs: keepsSideLayers)
    attentionPlaces = model.attention.places(&layout)
    perceptionPlaces = model.perception.places(&layout)
    memory = Buffer(layout.count)
    scratch = Buffer(
      64
        + max(
          trace.scratchCount, model.side.scratchCount(encoderWidth: D, sidePlaces), model.attention.scratchCount,
          model.perception.scratchCount))
  }

  /// Where the image's patches [N, 3·p·p] belong.
  public var patches: Floats { memory.base + encoderPlaces.patches }
  /// h⁽ᵐ⁻¹⁾ [1 + N, D]: written by `encode`, or by who has it cached.
  public var tail: Floats { memory.base + encoderPlaces.tail }
  /// The patch tokens [N, D] of a fused layer.
  public func feature(_ layer: Int) -> Floats { trace.patchTokens(layer, memory.base, encoderPlaces) }
  /// h⁽ⁱ⁾ [1 + N, D] of a kept layer: fused, m − 1, or any from m to k (after `run`).
  public func hidden(_ layer: Int) -> Floats { trace.hidden(layer, memory.base, encoderPlaces) }

  /// The input [N, d] of side layer i, from 1: positions and the fused feature added. Where they are kept.
  public func sideLayerInput(_ layer: Int) -> ConstFloats { ConstFloats(memory.base + sidePlaces.inputs[layer - 1]) }

  /// h_SBN [N, d], z [N, d], F [N, C], α [N] and the logits [C], after `run`.
  public var hSBN: ConstFloats { ConstFloats(memory.base + (sidePlaces.inputs.last ?? 0)) }
  public var z: ConstFloats { ConstFloats(memory.base + attentionPlaces.z) }
  public var F: ConstFloats { ConstFloats(memory.base + attentionPlaces.F) }
  public var alpha: ConstFloats { ConstFloats(memory.base + attentionPlaces.alpha) }
  public var attentionLogits: ConstFloats { ConstFloats(memory.base + attentionPlaces.logits) }
  public var logits: ConstFloats { ConstFloats(memory.base + perceptionPlaces.logits) }

  /// The frozen part of the encoder, from the patches: the fused layers below m and h⁽ᵐ⁻¹⁾.
  public func encode() {
    Profile.of(.frozenBlocks) {
      trace.forwardFrozen(
        memory.base, encoderPlaces, upTo: model.encoder.firstLoRABlock - 1, scratch: scratch.base)
    }
  }

  /// All blocks of the encoder, from the patches: h⁽ᵏ⁾ in its place.
  public func encodeWholly() {
    encode()
    Profile.of(.trainedBlocks) { trace.forwardLive(memory.base, encoderPlaces, scratch: scratch.base) }
  }

  /// The whole model, from what `input` says is there.
  ///
  /// - Parameter phase: `alpha` gives the model's prediction and map; `ones` leaves α and F unwritten.
  public func run(_ input: TrainingPass.Input = .pixels, phase: Phase = .alpha) {
    let m = memory.base
    let at = encoderPlaces
    switch input {
    case .pixels: encode()
    case .tail: completeFeatures()
    case .features: break
    }
    Profile.of(.trainedBlocks) { trace.forwardLive(m, at, scratch: scratch.base) }
    let h = ConstFloats(trace.patchTokens(model.encoder.depth, m, at))
    if phase.usesAttention {
      Profile.of(.sideBranch) {
        model.side.forward(
          m, sidePlaces, patches: patches, feature: { ConstFloats(self.feature($0)) }, scratch: scratch.base)
      }
      Profile.of(.attentionBranch) {
        model.attention.infer(m, attentionPlaces, hSBN: hSBN, scratch: scratch.base)
      }
    }
    Profile.of(.perceptionBranch) {
      model.perception.infer(
        m, perceptionPlaces, h: h, alpha: phase.usesAttention ? alpha : nil, scratch: scratch.base)
    }
  }

  /// The fused layers below a tail that is already there. The tail is put aside, for the encoder runs in its place.
  private func completeFeatures() {
    let count = model.encoder.tokens * model.encoder.width
    guard encoderPlaces.features.keys.max() != nil else { return }
    let aside = Buffer(count)
    copy(aside.base, tail, count)
    encode()
    copy(tail, aside.base, count)
  }

  /// softmax of the perception branch's logits [C]: p(ŷ).
  public func probabilities() -> [Float] {
    var p = [Float](repeating: 0, count: model.options.classes)
    p.withUnsafeMutableBufferPointer { target in
      if let base = target.baseAddress { softmax(base, logits, target.count) }
    }
    return p
  }

  /// logits_PB + logits_AB [C]: what the authors' earlier protocol predicts by.
  public func summedLogits() -> [Float] {
    (0..<model.options.classes).map { logits[$0] + attentionLogits[$0] }
  }

  /// CE(PB) of a label.
  public func loss(label: Int) -> Double { crossEntropy(logits, label: label, classes: model.options.classes) }
}
