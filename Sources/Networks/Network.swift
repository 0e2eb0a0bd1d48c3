import Encoder
import Lanes
import Layers
import Tensor

/// What trainer, cache, checkpoints and evaluation know of a network over the frozen encoder. A network is a conformer,
/// its pass and its inference; `LatticeModel` is the first.
public protocol Network: AnyObject, Sendable {
  /// What checkpoints call it.
  var kind: String { get }
  var encoder: ImageEncoder { get }
  /// The trained tensors and running statistics.
  var parameters: ParameterStore { get }
  /// C.
  var classes: Int { get }
  /// The side of the map that its inference makes, g or more; nil where it makes none of its own.
  var mapSide: Int? { get }
  /// The digest (`model_sha256`) of the trained network whose predictions it explains; nil: it predicts itself.
  var explains: String? { get }
  /// How many lanes a global batch is cut into.
  var lanes: Int { get }

  /// The layers below the first LoRA block whose h⁽ⁱ⁾ it reads, ascending: with h⁽ᵐ⁻¹⁾, what the cache holds for it.
  var frozenLayers: [Int] { get }
  /// Its parts above the encoder's blocks, from the one that has the last word down: every tensor but LoRA's is of one.
  var parts: [NetworkPart] { get }

  var phases: [Phase] { get }
  /// The phase of an epoch, counted from 1.
  func phase(epoch: Int) -> Phase
  /// What a phase trains, as a range of the arenas: gradients of these tensors, and of nothing else, are made, summed
  /// and stepped.
  func trainedRange(_ phase: Phase) -> Range<Int>
  /// The matrix products of a training step's share of a sample.
  ///
  /// - Parameter isLive: from pixels; else from cached features.
  func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount

  /// The training pass of a rank.
  ///
  /// - Parameters:
  ///   - plan: of a full batch; its largest share over the ranks is what memory is made for.
  ///   - exchange: completes lane sums with other ranks'.
  func makePass(_ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) -> any NetworkPass
  /// Memory for one image at a time; each thread has its own.
  func makeInference() -> any NetworkInference
}

extension Network {
  public var explains: String? { nil }

  /// The number of values that a phase trains.
  public func trainedCount(_ phase: Phase) -> Int { trainedRange(phase).count }
}

/// What a sample's memory holds before the network runs on it.
public enum SampleInput: Sendable {
  /// Its patches alone.
  case pixels
  /// Patches, and in the tail's place h⁽ˡ⁾ of a layer l ≤ m − 1; layers below are computed where they are needed.
  case tail(layer: Int)
  /// Patches, h⁽ˡ⁾ in the tail's place, and every layer up to l that the network reads.
  case features(tail: Int)
}

/// A network's forward and backward pass over a rank's share of a global batch.
public protocol NetworkPass: AnyObject {
  /// Memory, lanes and sums, and the samples of the step.
  var lanes: LanePass { get }

  /// A sample's way through the encoder, in its memory of `lanes`.
  var trace: EncoderTrace { get }

  /// Forward and backward over the samples that have been set: leaves this rank's gradients of what the phase trains,
  /// summed over its lanes, in the gradient arena, and the norms' new statistics pending.
  func run(_ phase: Phase, at place: StepPlace) -> StepOutcome
}

/// Where a step stands in a run: all that its random draws and schedules may depend on.
public struct StepPlace: Sendable {
  public let seed: UInt64
  /// From 1.
  public let epoch: Int
  /// The global step, from 1.
  public let step: Int

  public init(seed: UInt64, epoch: Int, step: Int) {
    self.seed = seed
    self.epoch = epoch
    self.step = step
  }
}

/// What a step yields, over the global batch and the same on every rank.
public struct StepOutcome: Sendable {
  /// What the step has made smaller: the parts, as the network weighs them.
  public let loss: Double
  public let parts: [LossPart]
  /// Samples that are classified rightly.
  public let correct: Int

  public init(loss: Double, parts: [LossPart], correct: Int) {
    self.loss = loss
    self.parts = parts
    self.correct = correct
  }
}

/// A part of a loss, a mean over the global batch.
public struct LossPart: Equatable, Sendable {
  /// As in the metrics, where its key is `loss_<name>`.
  public let name: String
  /// nil where the phase has no such part.
  public let value: Double?

  public init(_ name: String, _ value: Double?) {
    self.name = name
    self.value = value
  }
}

/// A network's forward pass for one image, by the running statistics: no result depends on which other images there
/// are, or on which thread or rank does it.
public protocol NetworkInference: AnyObject {
  /// The image's way through the encoder, in `memory`.
  var trace: EncoderTrace { get }
  var memory: Buffer { get }

  /// The whole network, from what `input` says is there.
  func run(_ input: SampleInput)
  /// p(ŷ) [C], after `run`.
  func probabilities() -> [Float]
  /// The logits of all of its classifiers added up [C], after `run`: what the authors' earlier protocol predicts by.
  func summedLogits() -> [Float]
  /// The loss of a label that validation compares, after `run`.
  ///
  /// - Parameter imageID: what the loss draws is of this image.
  func loss(label: Int, imageID: Int) -> Double
  /// The map [`Network.mapSide`, `Network.mapSide`] that the network itself makes, after `run`; nil where it makes none.
  var map: ConstFloats? { get }
}

extension NetworkInference {
  /// Where the image's patches [N, 3·p·p] belong.
  public var patches: Floats { trace.patches(memory.base) }
  /// h⁽ᵐ⁻¹⁾ [1 + N, D], or that of a layer below, from who has it cached.
  public var tail: Floats { trace.tail(memory.base) }
  /// The patch tokens [N, D] of a frozen layer.
  public func feature(_ layer: Int) -> Floats { trace.patchTokens(layer, memory.base) }
}
