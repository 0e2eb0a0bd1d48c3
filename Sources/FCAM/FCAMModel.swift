import Encoder
import Failures
import Lanes
import Layers
import Networks
import Randomness
import Tensor

extension ProfiledPart {
  static let decoder = ProfiledPart("decoder")
  static let decoderLoss = ProfiledPart("decoder's loss")
}

extension Phase {
  /// The decoder is trained; there is no other phase.
  public static let decoder = Phase("decoder", isValidated: true)
}

/// F-CAM on the frozen encoder: a decoder that is trained on the maps of a classifier, which stays as it is. Predictions
/// are the classifier's, the map the decoder's.
public final class FCAMModel: Network, @unchecked Sendable {
  public let kind = "fcam"
  public let options: FCAMOptions
  public let parameters: ParameterStore
  public let encoder: ImageEncoder
  let classifier: FrozenClassifier
  let decoder: Decoder
  public let frozenLayers: [Int]
  public let phases = [Phase.decoder]

  /// Makes the arenas; tensors are not yet initialised.
  ///
  /// - Parameters:
  ///   - encoderOptions: of the encoder, without LoRA.
  ///   - training: whether gradients and moments are needed.
  /// - Throws: `Failure` 78 for options that do not fit the encoder, or a classifier of another width.
  public init(
    _ options: FCAMOptions, classifier: FrozenClassifier, _ encoderOptions: EncoderOptions, on file: EncoderFile,
    training: Bool
  ) throws {
    self.options = options
    self.classifier = classifier
    let store = ParameterStore()
    parameters = store
    encoder = try ImageEncoder(file, encoderOptions, store: store)
    precondition(encoder.firstLoRABlock > encoder.depth)
    guard classifier.width == encoder.width else {
      throw Failure.badConfiguration(
        "fcam.classifier reads features of width \(classifier.width); encoder.weights has \(encoder.width)")
    }
    decoder = try Decoder(store, options, encoder: encoder)
    frozenLayers = Set(decoder.stages.compactMap { $0.skip?.layer }).sorted()
    try store.allocate(training: training)
  }

  public var mapSide: Int? { decoder.side }
  public var classes: Int { classifier.classes }
  public var parts: [NetworkPart] {
    [NetworkPart("decoder_head", prefix: "fcam.decoder.head.")]
      + decoder.stages.indices.reversed().map {
        NetworkPart("decoder_stage_\($0 + 1)", prefix: "fcam.decoder.stages.\($0 + 1).")
      }
  }
  public var lanes: Int { options.lanes }
  public var explains: String? { classifier.sha256 }

  public func phase(epoch: Int) -> Phase { .decoder }

  public func trainedRange(_ phase: Phase) -> Range<Int> { 0..<parameters.count }

  public func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount {
    var count = isLive ? encoder.frozenProducts(blocks: encoder.depth) : ProductCount()
    // The prediction, which the accuracy counts, and the map of its class.
    count.add(.forward, m: 1, n: classes, k: encoder.width)
    count.add(.forward, m: encoder.patchCount, n: 1, k: encoder.width)
    for isBackward in [false, true] { decoder.addProducts(&count, isBackward: isBackward) }
    return count
  }

  public func makePass(_ plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) -> any NetworkPass {
    FCAMPass(self, plan: plan, team: team, exchange: exchange)
  }

  public func makeInference() -> any NetworkInference { FCAMInference(self) }
}

/// Where the values of one sample lie in its memory, and what is made of the encoder's.
struct FCAMLayout: Sendable {
  let trace: EncoderTrace
  let decoder: Decoder.Places
  /// [D], [C].
  private let pooled: Int
  let logits: Int
  private let seeds: Int
  let count: Int
  let scratchCount: Int
  private let depth: Int

  private let sampler: SeedSampler
  private let loss: DecoderLoss

  init(_ model: FCAMModel, isTraining: Bool) {
    var layout = Layout()
    let options = model.options
    trace = EncoderTrace(model.encoder, layers: model.frozenLayers, isTraining: isTraining, in: &layout)
    decoder = model.decoder.places(&layout, isTraining: isTraining)
    pooled = layout.take(model.encoder.width)
    logits = layout.take(model.classes)
    seeds = layout.take(SeededPixels.count(window: options.dilation))
    count = layout.count
    depth = model.encoder.depth
    sampler = SeedSampler(options: options, side: model.decoder.side)
    loss = DecoderLoss(options: options, side: model.decoder.side)
    scratchCount =
      64
      + max(
        trace.scratchCount, model.decoder.scratchCount(isTraining: isTraining),
        Self.aligned(model.encoder.patchCount) + sampler.scratchCount,
        Self.aligned(3 * model.decoder.side * model.decoder.side) + loss.scratchCount)
  }

  private static func aligned(_ count: Int) -> Int { (count + 15) / 16 * 16 }

  /// h⁽ᵏ⁾ without its class token [N, D].
  func h(_ memory: Floats) -> ConstFloats { h(depth, memory) }

  /// h⁽ⁱ⁾ without its class token [N, D].
  func h(_ layer: Int, _ memory: Floats) -> ConstFloats { ConstFloats(trace.patchTokens(layer, memory)) }

  func seededPixels(_ memory: Floats) -> SeededPixels { SeededPixels(memory + seeds) }

  /// The logits of the classifier.
  func classify(_ memory: Floats, _ model: FCAMModel) {
    model.classifier.classify(memory + logits, pooled: memory + pooled, h: h(memory), cells: model.decoder.cells)
  }

  /// Draws the seeds of a class.
  func drawSeeds(_ memory: Floats, _ model: FCAMModel, label: Int, stream: RandomStream, scratch: Floats) {
    let cells = model.decoder.cells
    model.classifier.activationMap(scratch, of: label, h: h(memory), cells: cells)
    sampler.draw(
      seededPixels(memory), map: scratch, grid: model.decoder.grid, stream: stream,
      scratch: scratch + Self.aligned(cells))
  }

  /// The loss of the scores, whose place their softmax takes, or in training their gradient.
  func addLoss(
    _ memory: Floats, _ model: FCAMModel, isTraining: Bool, t: Double, seedScale: Double, imageScale: Double,
    scratch: Floats
  ) -> DecoderLoss.Values {
    let side = model.decoder.side
    let colours = scratch
    writeColours(colours, trace.patches(memory), model.encoder)
    let gradient = isTraining ? memory + decoder.gradient : nil
    let values = loss.run(
      memory + decoder.scores, gradient: gradient, colours: colours, seeds: seededPixels(memory), t: t,
      seedScale: seedScale, imageScale: imageScale, scratch: scratch + Self.aligned(3 * side * side))
    if let gradient { copy(memory + decoder.scores, gradient, 2 * side * side) }
    return values
  }

  /// The pixels [S, S, 3] in 0…255 of normalised patches [N, 3·p·p]: the levels that they were made of.
  private func writeColours(_ colours: Floats, _ patches: ConstFloats, _ encoder: ImageEncoder) {
    let (g, p) = (encoder.grid, encoder.patch)
    for row in 0..<(g * p) {
      for cell in 0..<g {
        let source = patches + (row / p * g + cell) * encoder.patchValues + row % p * p
        let target = colours + (row * g + cell) * p * 3
        for channel in 0..<3 {
          let (mean, deviation) = (encoder.mean[channel], encoder.standardDeviation[channel])
          let plane = source + channel * p * p
          for x in 0..<p {
            let level = ((plane[x] * deviation + mean) * 255).rounded()
            target[3 * x + channel] = min(max(level, 0), 255)
          }
        }
      }
    }
  }
}
