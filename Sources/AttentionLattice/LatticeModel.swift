import Branches
import Encoder
import Failures
import Lanes
import Layers
import Networks
import Tensor

/// The whole Attention Lattice Adapter: encoder with LoRA, side, attention and perception branch, and the table of
/// its trained tensors.
public final class LatticeModel: Network, @unchecked Sendable {
  public let kind = "lattice"
  public let options: ModelOptions
  public let parameters: ParameterStore
  public let encoder: ImageEncoder
  public let side: SideBranch
  package let attention: AttentionBranch
  package let perception: PerceptionBranch

  /// The fused layers below the first LoRA block. Ascending, each once.
  public let frozenLayers: [Int]
  public let phases = [Phase.alpha, .ones]
  public let parts = [
    NetworkPart("classifier", prefix: "perception.classifier."), NetworkPart("perception", prefix: "perception."),
    NetworkPart("attention", prefix: "attention."), NetworkPart("side", prefix: "side."),
  ]
  private let trainedRanges: [Phase: Range<Int>]

  /// Loads the encoder's file and makes a model on it.
  ///
  /// - Parameter training: whether gradients and moments are needed.
  /// - Throws: what `EncoderFile` throws; `Failure` 78 for options that do not fit it or each other.
  public convenience init(_ options: ModelOptions, training: Bool) throws {
    try self.init(options, on: EncoderFile(options.encoder), training: training)
  }

  /// Makes the arenas; tensors are not yet initialised.
  ///
  /// - Parameters:
  ///   - file: what is frozen; other models may stand on it, too.
  ///   - training: whether gradients and moments are needed.
  /// - Throws: `Failure` 78 for options that do not fit the encoder or each other.
  public init(_ options: ModelOptions, on file: EncoderFile, training: Bool) throws {
    self.options = options
    let store = ParameterStore()
    parameters = store
    encoder = try ImageEncoder(file, options.encoder, store: store)
    try Self.check(options, encoder: encoder)
    let (g, D, C) = (encoder.grid, encoder.width, options.classes)
    perception = PerceptionBranch(store, options.perception, grid: g, width: D, classes: C, lanes: options.lanes)
    side = SideBranch(
      store, options.side, patches: encoder.patchCount, patchValues: encoder.patchValues, encoderWidth: D)
    attention = AttentionBranch(
      store, options.attention, grid: g, width: options.side.width, classes: C, lanes: options.lanes)
    try store.allocate(training: training)
    trainedRanges = Dictionary(
      uniqueKeysWithValues: phases.map { ($0, store.range(of: $0.trainedGroups(lora: options.loraPhases))) })
    let firstTrained = encoder.firstLoRABlock
    frozenLayers = Set(options.side.fusion).filter { $0 < firstTrained }.sorted()
  }

  private static func check(_ options: ModelOptions, encoder: ImageEncoder) throws {
    for layer in options.side.fusion where layer < 0 || layer > encoder.depth {
      throw Failure.badConfiguration(
        "side.fusion names layer \(layer); the encoder runs blocks 1 to \(encoder.depth), so layers 0 to \(encoder.depth) can be fused"
      )
    }
    guard options.side.fusion.count <= options.side.layers else {
      throw Failure.badConfiguration(
        "side.fusion has \(options.side.fusion.count) entries for \(options.side.layers) layers (side.layers)")
    }
    guard options.side.width % options.side.heads == 0 else {
      throw Failure.badConfiguration(
        "side.heads is \(options.side.heads), which does not divide side.width of \(options.side.width)")
    }
    try PerceptionBranch.check(options.perception, grid: encoder.grid)
    guard options.classes >= 1 else { throw Failure.badConfiguration("the data set has no classes") }
  }

  public var mapSide: Int? { encoder.grid }
  public var classes: Int { options.classes }
  public var lanes: Int { options.lanes }

  public func phase(epoch: Int) -> Phase {
    Phase.of(epoch: epoch, alternating: options.alternates, start: options.firstPhase)
  }

  /// Whether gradients flow down to the blocks with LoRA.
  func trainsEncoder(_ phase: Phase) -> Bool {
    encoder.firstLoRABlock <= encoder.depth && options.loraPhases.contains(phase)
  }

  public func trainedRange(_ phase: Phase) -> Range<Int> { trainedRanges[phase] ?? 0..<0 }

  public func makePass(_ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) -> any NetworkPass {
    LatticePass(self, plan: plan, team: team, exchange: exchange)
  }

  public func makeInference() -> any NetworkInference { LatticeInference(self) }
}
