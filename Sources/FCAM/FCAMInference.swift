import Branches
import Encoder
import Networks
import Randomness
import Tensor

/// A decoder and its classifier for one image at a time. The decoder runs only where its map is asked for: most passes
/// of an evaluation want a prediction alone.
public final class FCAMInference: NetworkInference, @unchecked Sendable {
  private let model: FCAMModel
  private let at: FCAMLayout
  public let memory: Buffer
  private let scratch: Buffer
  private let sums: Decoder.Sums
  /// 1/√(running variance + eps) of each stage's norms.
  private let inverses: [(first: Buffer, second: Buffer)]
  private let foreground: Buffer
  /// Whether the map is of the last run, and whether the scores are still its logits.
  private var isDecoded = false
  private var hasLogits = false

  public init(_ model: FCAMModel) {
    self.model = model
    at = FCAMLayout(model, isTraining: false)
    memory = Buffer(at.count)
    scratch = Buffer(at.scratchCount)
    sums = Decoder.Sums(model.decoder)
    inverses = model.decoder.stages.map { (Buffer($0.width), Buffer($0.width)) }
    foreground = Buffer(model.decoder.side * model.decoder.side)
  }

  public var trace: EncoderTrace { at.trace }

  private var logits: ConstFloats { ConstFloats(memory.base + at.logits) }

  public func run(_ input: SampleInput) {
    at.trace.forward(input, memory.base, scratch: scratch.base)
    at.classify(memory.base, model)
    isDecoded = false
    hasLogits = false
  }

  /// p(ŷ) of the classifier.
  public func probabilities() -> [Float] { Branches.probabilities(logits, classes: model.classes) }
  public func summedLogits() -> [Float] { (0..<model.classes).map { logits[$0] } }

  /// The softmax of the foreground's score [S, S].
  public var map: ConstFloats? {
    if !isDecoded { decode() }
    return ConstFloats(foreground.base)
  }

  /// The decoder's loss with the seeds of (`run.seed`, image), and the barrier of the run's last epoch.
  public func loss(label: Int, imageID: Int) -> Double {
    let options = model.options
    let stream = RandomStream(seed: options.seed, name: "fcam-seeds/validation", index: UInt64(imageID))
    at.drawSeeds(memory.base, model, label: label, stream: stream, scratch: scratch.base)
    if !hasLogits { decode() }
    let values = at.addLoss(
      memory.base, model, isTraining: false, t: options.barrier.t(epoch: options.epochs), seedScale: 0, imageScale: 0,
      scratch: scratch.base)
    hasLogits = false
    let seeds = max(at.seededPixels(memory.base).count, 1)
    return options.seedWeight * values.seeds / Double(seeds) + options.sizeWeight * values.size
      + options.crfWeight * values.crf
  }

  private var pixels: Int { model.decoder.side * model.decoder.side }

  private func decode() {
    let (decoder, m, places) = (model.decoder, memory.base, at.decoder)
    sums.make()
    func activation(_ stage: Int) -> Activation {
      Activation(norm: decoder.stages[stage].secondNorm, inverse: inverses[stage].second.base)
    }
    for (index, stage) in decoder.stages.enumerated() {
      stage.firstNorm.writeRunningInverse(inverses[index].first.base)
      stage.secondNorm.writeRunningInverse(inverses[index].second.base)
      _ = stage.forwardFirst(
        m, places.stages[index], sums: sums[index], layer: stage.skip.map { at.h($0.layer, m) }, scratch: scratch.base
      ) { target, row in
        decoder.writeInput(target, row, of: index, m, places, h: at.h(m), activation: activation)
      }
      _ = stage.forwardSecond(
        m, places.stages[index], first: Activation(norm: stage.firstNorm, inverse: inverses[index].first.base),
        scratch: scratch.base)
    }
    decoder.forwardHead(m, places, activation(decoder.stages.count - 1), scratch: scratch.base)
    let s = scratch.base
    copy(s, m + places.scores, 2 * pixels)
    softmaxOfTwo(s, rows: pixels)
    for pixel in 0..<pixels { foreground.base[pixel] = s[2 * pixel + 1] }
    (isDecoded, hasLogits) = (true, true)
  }
}
