import Branches
import Encoder
import Lanes
import Layers
import Networks
import Tensor

extension Phase {
  /// Both branches are trained; there is no other phase.
  public static let joint = Phase("joint", isValidated: true)
}

/// What shapes an attention branch network; the settings of the same names.
public struct AttentionBranchOptions: Equatable, Sendable {
  public var attention = AttentionOptions()
  public var perception = PerceptionOptions()
  /// C.
  public var classes: Int
  /// The weight of the attention branch's loss; 1 in the work it comes from.
  public var lambda = 1.0
  /// How many lanes a global batch is cut into.
  public var lanes = 4

  public init(classes: Int) { self.classes = classes }
}

/// The Attention Branch Network on the frozen encoder (Fukui et al., "Attention Branch Network", CVPR 2019;
/// docs/model.md, "ABN"): the attention branch reads h⁽ᵏ⁾ alone, and the perception branch classifies (1 + α) ⊙ h⁽ᵏ⁾.
public final class AttentionBranchModel: Network, @unchecked Sendable {
  public let kind = "abn"
  public let options: AttentionBranchOptions
  public let parameters: ParameterStore
  public let encoder: ImageEncoder
  let attention: AttentionBranch
  let perception: PerceptionBranch
  public let frozenLayers: [Int] = []
  public let phases = [Phase.joint]
  public let parts = [
    NetworkPart("classifier", prefix: "abn.perception.classifier."),
    NetworkPart("perception", prefix: "abn.perception."), NetworkPart("attention", prefix: "abn.attention."),
  ]

  /// Makes the arenas; tensors are not yet initialised.
  ///
  /// - Parameters:
  ///   - encoderOptions: of the encoder, without LoRA.
  ///   - training: whether gradients and moments are needed.
  /// - Throws: `Failure` 78 for options that do not fit the encoder.
  public init(
    _ options: AttentionBranchOptions, _ encoderOptions: EncoderOptions, on file: EncoderFile, training: Bool
  ) throws {
    self.options = options
    let store = ParameterStore()
    parameters = store
    encoder = try ImageEncoder(file, encoderOptions, store: store)
    precondition(encoder.firstLoRABlock > encoder.depth)
    let (g, D, C) = (encoder.grid, encoder.width, options.classes)
    try PerceptionBranch.check(options.perception, grid: g)
    perception = PerceptionBranch(
      store, options.perception, prefix: "abn.", grid: g, width: D, classes: C, lanes: options.lanes)
    attention = AttentionBranch(
      store, options.attention, prefix: "abn.", grid: g, width: D, classes: C, lanes: options.lanes)
    try store.allocate(training: training)
  }

  public var mapSide: Int? { encoder.grid }
  public var classes: Int { options.classes }
  public var lanes: Int { options.lanes }

  public func phase(epoch: Int) -> Phase { .joint }

  public func trainedRange(_ phase: Phase) -> Range<Int> { 0..<parameters.count }

  public func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount {
    var count = isLive ? encoder.frozenProducts(blocks: encoder.depth) : ProductCount()
    for isBackward in [false, true] {
      perception.addProducts(&count, isBackward: isBackward, needsInput: true)
      attention.addProducts(&count, isBackward: isBackward, needsInput: false)
    }
    return count
  }

  public func makePass(_ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) -> any NetworkPass {
    AttentionBranchPass(self, plan: plan, team: team, exchange: exchange)
  }

  public func makeInference() -> any NetworkInference { AttentionBranchInference(self) }
}

/// Where the values of one sample lie in its memory.
struct AttentionBranchLayout: Sendable {
  let trace: EncoderTrace
  let attention: AttentionBranch.Places
  let perception: PerceptionBranch.Places
  /// 1 + α [N].
  private let factors: Int
  let count: Int
  let scratchCount: Int
  private let depth: Int
  private let cells: Int

  init(_ model: AttentionBranchModel, isTraining: Bool) {
    var layout = Layout()
    trace = EncoderTrace(model.encoder, layers: [], isTraining: isTraining, in: &layout)
    attention = model.attention.places(&layout)
    perception = model.perception.places(&layout)
    cells = model.encoder.patchCount
    factors = layout.take(cells)
    count = layout.count
    scratchCount = 64 + max(trace.scratchCount, model.attention.scratchCount, model.perception.scratchCount)
    depth = model.encoder.depth
  }

  /// h⁽ᵏ⁾ without its class token [N, D].
  func h(_ memory: Floats) -> ConstFloats { ConstFloats(trace.patchTokens(depth, memory)) }

  /// 1 + α [N], as last made.
  func factors(_ memory: Floats) -> ConstFloats { ConstFloats(memory + factors) }

  /// Makes 1 + α of α.
  func makeFactors(_ memory: Floats) -> ConstFloats {
    for n in 0..<cells { memory[factors + n] = 1 + memory[attention.alpha + n] }
    return factors(memory)
  }
}
