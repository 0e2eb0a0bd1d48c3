import Branches
import Encoder
import Lanes
import Layers
import Networks
import Tensor

extension ParameterGroup {
  static let classActivation = ParameterGroup("cam")
}

extension ProfiledPart {
  static let classActivation = ProfiledPart("classifier")
}

extension Phase {
  /// The classifier is trained; there is no other phase.
  public static let classifier = Phase("classifier", isValidated: true)
}

/// The classifier whose class activation maps are explanations (Zhou et al., "Learning Deep Features for
/// Discriminative Localization", CVPR 2016; docs/model.md, "CAM"): the mean of h⁽ᵏ⁾'s patch tokens, and a linear map.
/// F-CAM's decoder is trained on it, too.
public final class ClassActivationModel: Network, @unchecked Sendable {
  public let kind = "cam"
  public let mapSide: Int? = nil
  public let parameters: ParameterStore
  public let encoder: ImageEncoder
  public let classes: Int
  public let lanes: Int
  let classifier: Linear
  public let frozenLayers: [Int] = []
  public let phases = [Phase.classifier]
  public let parts = [NetworkPart("classifier", prefix: "cam.classifier.")]

  /// Makes the arenas; tensors are not yet initialised.
  ///
  /// - Parameters:
  ///   - encoderOptions: of the encoder, without LoRA.
  ///   - training: whether gradients and moments are needed.
  /// - Throws: `Failure` 78 for options that do not fit the encoder.
  public init(
    classes C: Int, lanes: Int, _ encoderOptions: EncoderOptions, on file: EncoderFile, training: Bool
  ) throws {
    let store = ParameterStore()
    parameters = store
    encoder = try ImageEncoder(file, encoderOptions, store: store)
    precondition(encoder.firstLoRABlock > encoder.depth)
    classes = C
    self.lanes = lanes
    let bound = 1 / Double(encoder.width).squareRoot()
    classifier = Linear(
      store, "cam.classifier", inputs: encoder.width, outputs: C, group: .classActivation, weight: .uniform(bound),
      bias: .uniform(bound))
    try store.allocate(training: training)
  }

  public func phase(epoch: Int) -> Phase { .classifier }

  public func trainedRange(_ phase: Phase) -> Range<Int> { 0..<parameters.count }

  public func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount {
    var count = isLive ? encoder.frozenProducts(blocks: encoder.depth) : ProductCount()
    count.linear(classifier, rows: 1, isBackward: false, isTrained: true)
    count.linear(classifier, rows: 1, isBackward: true, needsInput: false, isTrained: true)
    return count
  }

  public func makePass(_ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) -> any NetworkPass {
    ClassActivationPass(self, plan: plan, team: team, exchange: exchange)
  }

  public func makeInference() -> any NetworkInference { ClassActivationInference(self) }
}

/// Where the values of one sample lie in its memory.
struct ClassActivationLayout: Sendable {
  let trace: EncoderTrace
  /// [D].
  let pooled: Int
  /// [C].
  let logits: Int
  let dLogits: Int
  let count: Int
  let scratchCount: Int
  private let depth: Int

  init(_ model: ClassActivationModel, isTraining: Bool) {
    var layout = Layout()
    trace = EncoderTrace(model.encoder, layers: [], isTraining: isTraining, in: &layout)
    pooled = layout.take(model.encoder.width)
    logits = layout.take(model.classes)
    dLogits = layout.take(model.classes)
    count = layout.count
    scratchCount = 64 + trace.scratchCount
    depth = model.encoder.depth
  }

  /// h⁽ᵏ⁾ without its class token [N, D].
  func h(_ memory: Floats) -> ConstFloats { ConstFloats(trace.patchTokens(depth, memory)) }

  /// The logits of h⁽ᵏ⁾, which is there.
  func classify(_ memory: Floats, _ model: ClassActivationModel) {
    globalAveragePool(memory + pooled, h(memory), rows: model.encoder.patchCount, channels: model.encoder.width)
    model.classifier.forward(memory + logits, memory + pooled, low: nil, rows: 1)
  }
}

/// The classifier's training pass: h⁽ᵏ⁾ is frozen, so that one region makes a step.
final class ClassActivationPass: NetworkPass {
  let lanes: LanePass
  private let model: ClassActivationModel
  private let at: ClassActivationLayout

  init(_ model: ClassActivationModel, plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) {
    self.model = model
    at = ClassActivationLayout(model, isTraining: true)
    lanes = LanePass(
      plan,
      room: LanePass.Room(
        sample: at.count, scratch: at.scratchCount, segments: [0..<model.parameters.count], losses: 1),
      gradients: model.parameters.gradients, team: team, exchange: exchange)
  }

  var trace: EncoderTrace { at.trace }

  func run(_ phase: Phase, at place: StepPlace) -> StepOutcome {
    let C = model.classes
    lanes.beginStep(at: place)
    lanes.region(.classActivation, summing: model.trainedRange(phase)) { sample, m, slot, scratch in
      at.trace.forward(sample.input, m, scratch: scratch)
      at.classify(m, model)
      lanes.addCrossEntropy(0, sample, m + at.logits, dLogits: m + at.dLogits, classes: C)
      lanes.countIfRight(sample, m + at.logits, classes: C)
      model.classifier.backward(nil, m + at.dLogits, m + at.pooled, low: nil, slot: slot, scratch: nil, rows: 1)
    }
    lanes.finishLosses()
    lanes.endStep(trained: model.trainedRange(phase))
    let loss = lanes.loss(0)
    return StepOutcome(loss: loss, parts: [LossPart("classifier", loss)], correct: lanes.correct)
  }
}

/// The classifier for one image at a time, and its class activation maps.
public final class ClassActivationInference: NetworkInference, @unchecked Sendable {
  private let model: ClassActivationModel
  private let at: ClassActivationLayout
  public let memory: Buffer
  private let scratch: Buffer

  public init(_ model: ClassActivationModel) {
    self.model = model
    at = ClassActivationLayout(model, isTraining: false)
    memory = Buffer(at.count)
    scratch = Buffer(at.scratchCount)
  }

  public var trace: EncoderTrace { at.trace }
  /// Its maps are of a class: see `classActivationMap`.
  public var map: ConstFloats? { nil }

  private var logits: ConstFloats { ConstFloats(memory.base + at.logits) }

  public func run(_ input: SampleInput) {
    at.trace.forward(input, memory.base, scratch: scratch.base)
    at.classify(memory.base, model)
  }

  public func probabilities() -> [Float] { Branches.probabilities(logits, classes: model.classes) }
  public func summedLogits() -> [Float] { (0..<model.classes).map { logits[$0] } }
  public func loss(label: Int, imageID: Int) -> Double { crossEntropy(logits, label: label, classes: model.classes) }

  /// Σ_d W[class, d]·h⁽ᵏ⁾[n, d], without the bias: [N], after `run`.
  public func classActivationMap(of label: Int) -> [Float] {
    let (N, D) = (model.encoder.patchCount, model.encoder.width)
    return [Float](unsafeUninitializedCapacity: N) { target, count in
      count = N
      guard let base = target.baseAddress else { return }
      multiplyTransposed(base, at.h(memory.base), model.classifier.weight.values + label * D, m: N, n: 1, k: D)
    }
  }
}

extension ClassActivationInference: DifferentiableInference {
  public var activations: ConstFloats { at.h(memory.base) }

  public func gradient(ofLogit label: Int) -> ConstFloats {
    globalAveragePoolBackward(
      scratch.base, model.classifier.weight.values + label * model.encoder.width, rows: model.encoder.patchCount,
      channels: model.encoder.width)
    return ConstFloats(scratch.base)
  }
}
