import Branches
import Networks
import Tensor

/// Where the values of one sample lie in its memory, in training and in inference alike.
struct LatticeLayout: Sendable {
  let trace: EncoderTrace
  let side: SideBranch.Places
  let attention: AttentionBranch.Places
  let perception: PerceptionBranch.Places
  /// Floats of a sample's memory, and of a thread's scratch.
  let count: Int
  let scratchCount: Int
  /// k.
  private let depth: Int

  /// - Parameters:
  ///   - isTraining: whether a backward pass follows.
  ///   - keepsSideLayers: whether each side layer's input has a place of its own, as a backward pass needs.
  init(_ model: LatticeModel, isTraining: Bool, keepsSideLayers: Bool) {
    let D = model.encoder.width
    var layout = Layout()
    trace = EncoderTrace(model.encoder, layers: model.options.side.fusion, isTraining: isTraining, in: &layout)
    side = model.side.places(
      &layout, encoderWidth: D, keeping: isTraining ? .inputs : .nothing, keepsInputs: keepsSideLayers)
    attention = model.attention.places(&layout)
    perception = model.perception.places(&layout)
    count = layout.count
    scratchCount =
      64
      + max(
        trace.scratchCount, model.side.scratchCount(encoderWidth: D, side), model.attention.scratchCount,
        model.perception.scratchCount)
    depth = model.encoder.depth
  }

  /// The patch tokens [N, D] of h⁽ⁱ⁾.
  func tokens(_ layer: Int, _ memory: Floats) -> Floats { trace.patchTokens(layer, memory) }

  /// The patch tokens [N, D] of h⁽ᵏ⁾.
  func h(_ memory: Floats) -> Floats { tokens(depth, memory) }

  /// h_SBN [N, d].
  func hSBN(_ memory: Floats) -> Floats { memory + (side.inputs.last ?? 0) }

  /// α [N].
  func alpha(_ memory: Floats) -> Floats { memory + attention.alpha }
}
