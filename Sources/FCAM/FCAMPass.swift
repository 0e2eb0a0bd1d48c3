import Branches
import Encoder
import Lanes
import Layers
import Networks
import Tensor

/// The training pass of a decoder.
final class FCAMPass: NetworkPass {
  let lanes: LanePass
  private let model: FCAMModel
  private let at: FCAMLayout
  private let sums: Decoder.Sums

  // The parts of the loss, and how many pixels are seeded.
  private static let seedLoss = 0
  private static let sizeLoss = 1
  private static let crfLoss = 2
  private static let seededPixels = 3

  init(_ model: FCAMModel, plan: LanePlan, team: ThreadTeam, exchange: any LaneExchange) {
    self.model = model
    at = FCAMLayout(model, isTraining: true)
    sums = Decoder.Sums(model.decoder)
    lanes = LanePass(
      plan,
      room: LanePass.Room(
        sample: at.count, scratch: at.scratchCount,
        segments: model.decoder.stages.indices.flatMap(model.decoder.segments), losses: 4),
      gradients: model.parameters.gradients, team: team, exchange: exchange)
  }

  var trace: EncoderTrace { at.trace }

  func run(_ phase: Phase, at place: StepPlace) -> StepOutcome {
    lanes.beginStep(at: place)
    sums.make()
    for stage in model.decoder.stages.indices { forward(stage) }
    addLosses(t: model.options.barrier.t(epoch: place.epoch))
    for stage in model.decoder.stages.indices.reversed() { backward(stage) }
    lanes.endStep(trained: model.trainedRange(phase))
    return outcome()
  }

  /// A norm's output by the batch's statistics.
  private func activation(_ stage: Int) -> Activation {
    Activation(norm: model.decoder.stages[stage].secondNorm, inverse: nil)
  }

  private func forward(_ index: Int) {
    let (model, at, sums) = (model, at, sums)
    let (decoder, stage) = (model.decoder, model.decoder.stages[index])
    lanes.forward(.decoder, stage.firstNorm, rows: stage.positions) { sample, m, scratch in
      if index == 0 { begin(sample, m, scratch: scratch) }
      return stage.forwardFirst(
        m, at.decoder.stages[index], sums: sums[index], layer: stage.skip.map { at.h($0.layer, m) }, scratch: scratch
      ) { target, row in
        decoder.writeInput(target, row, of: index, m, at.decoder, h: at.h(m), activation: activation)
      }
    }
    lanes.forward(.decoder, stage.secondNorm, rows: stage.positions) { _, m, scratch in
      stage.forwardSecond(
        m, at.decoder.stages[index], first: Activation(norm: stage.firstNorm, inverse: nil), scratch: scratch)
    }
  }

  /// The encoder, the classifier's prediction, and the seeds that its map gives.
  private func begin(_ sample: LaneSample, _ m: Floats, scratch: Floats) {
    at.trace.forward(sample.input, m, scratch: scratch)
    at.classify(m, model)
    lanes.countIfRight(sample, m + at.logits, classes: model.classes)
    at.drawSeeds(m, model, label: sample.label, stream: lanes.draw("fcam-seeds", sample), scratch: scratch)
    lanes.addLoss(Self.seededPixels, sample, Double(at.seededPixels(m).count))
  }

  private func addLosses(t: Double) {
    // Cross-entropy is a mean over the seeded pixels of the whole batch.
    lanes.finishLosses()
    let seedScale = 1 / max(lanes.sum(Self.seededPixels), 1)
    let imageScale = 1 / Double(lanes.plan.batch)
    let (model, at) = (model, at)
    lanes.region(.decoderLoss) { sample, m, scratch in
      model.decoder.forwardHead(m, at.decoder, activation(model.decoder.stages.count - 1), scratch: scratch)
      let values = at.addLoss(
        m, model, isTraining: true, t: t, seedScale: seedScale, imageScale: imageScale, scratch: scratch)
      lanes.addLoss(Self.seedLoss, sample, values.seeds)
      lanes.addLoss(Self.sizeLoss, sample, values.size)
      lanes.addLoss(Self.crfLoss, sample, values.crf)
    }
    lanes.finishLosses()
  }

  private func backward(_ index: Int) {
    let (model, at, sums) = (model, at, sums)
    let (decoder, stage, places) = (model.decoder, model.decoder.stages[index], at.decoder.stages[index])
    let gradient = at.decoder.gradient
    let segments = decoder.segments(index)
    lanes.backward(.decoder, stage.secondNorm, rows: stage.positions, summing: segments[2]) { _, m, slot, scratch in
      if index == decoder.stages.count - 1 { decoder.backwardHead(m, at.decoder, slot: slot, scratch: scratch) }
      return (m + gradient, m + places.second)
    }
    lanes.backward(.decoder, stage.firstNorm, rows: stage.positions, summing: segments[1]) { _, m, slot, scratch in
      stage.backwardSecond(m, places, dy: m + gradient, slot: slot, scratch: scratch)
    }
    lanes.region(.decoder, summing: segments[0]) { _, m, slot, scratch in
      let h = at.h(m)
      let row = { (target: Floats, row: Int) in
        decoder.writeInput(target, row, of: index, m, at.decoder, h: h, activation: self.activation)
      }
      let layer = stage.skip.map { at.h($0.layer, m) }
      guard index > 0 else {
        return stage.backwardFirst(
          m, places, sums: sums[index], layer: layer, slot: slot, scratch: scratch, row: row, dRow: nil)
      }
      // To the gradient of the norm before.
      let (norm, x, count) = (
        decoder.stages[index - 1].secondNorm, m + at.decoder.stages[index - 1].second, stage.grid * stage.inputs
      )
      stage.backwardFirst(
        m, places, sums: sums[index], layer: layer, slot: slot, scratch: scratch, row: row,
        dRow: { dRow, row in
          norm.reluBackward(m + gradient + row * count, dRow, x + row * count, rows: stage.grid)
        })
    }
  }

  private func outcome() -> StepOutcome {
    let options = model.options
    let seed = options.seedWeight * lanes.sum(Self.seedLoss) / max(lanes.sum(Self.seededPixels), 1)
    let size = options.sizeWeight * lanes.loss(Self.sizeLoss)
    let crf = options.crfWeight * lanes.loss(Self.crfLoss)
    return StepOutcome(
      loss: seed + size + crf,
      parts: [LossPart("seed", seed), LossPart("size", size), LossPart("crf", crf)], correct: lanes.correct)
  }
}
