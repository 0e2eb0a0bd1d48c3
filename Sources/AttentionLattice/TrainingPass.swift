import Encoder
import Layers
import Randomness
import Tensor

/// One training step's forward and backward pass over a rank's share of a global batch.
///
/// The pass is a row of regions: in each, lanes run in parallel and a lane's samples one after another; between
/// regions stand the batch norms, where lanes and ranks meet (model.md 8). Gradients of a segment of tensors are
/// gathered lane by lane and summed by a binary tree as soon as its backward pass is done.
public final class TrainingPass: @unchecked Sendable {
  public let model: LatticeModel
  private let team: ThreadTeam
  private let exchange: LaneExchange
  private let trace: EncoderTrace

  private let memory: Buffer
  private let memoryCount: Int
  private let capacity: Int
  private let scratch: [Buffer]
  private let slots: [Buffer]
  private let losses: LaneTable
  /// The arena range of each encoder block's updates; empty where LoRA leaves it alone.
  private let blockSegments: [Range<Int>]
  /// The most values of a range that `run` hands to `onSummed`.
  public let largestSegment: Int
  /// Batch norms whose running statistics a phase changes.
  private let norms: [Phase: [BatchNorm]]
  /// The last frozen fused layer that has a place of its own.
  private let lastFeature: Int?

  private let encoderPlaces: EncoderTrace.Places
  private let sidePlaces: SideBranch.Places
  private let attentionPlaces: AttentionBranch.Places
  private let perceptionPlaces: PerceptionBranch.Places

  private var plan: LanePlan
  private var samples: [Sample] = []
  /// The samples of each own lane, as indices into `samples`.
  private var laneSamples: [Range<Int>] = []

  private struct Sample {
    var lane: Int
    /// In the global batch.
    var position: Int
    var label: Int
    var input: Input
  }

  /// What a sample's memory holds when the pass begins.
  public enum Input: Sendable {
    /// Its patches alone.
    case pixels
    /// Patches and h⁽ᵐ⁻¹⁾; fused layers below are computed.
    case tail
    /// Patches, h⁽ᵐ⁻¹⁾ and every fused layer below.
    case features
  }

  /// What a step yields, over the global batch and the same on every rank.
  public struct Outcome: Equatable, Sendable {
    /// CE(PB) + λ·CE(AB), means over the global batch.
    public let loss: Double
    public let perceptionLoss: Double
    /// nil in phase `ones`.
    public let attentionLoss: Double?
    /// Samples that PB classifies rightly.
    public let correct: Int
  }

  /// - Parameters:
  ///   - plan: of a full batch; its largest share over the ranks is what memory is made for.
  ///   - exchange: completes lane sums with other ranks'.
  public init(_ model: LatticeModel, plan: LanePlan, team: ThreadTeam, exchange: LaneExchange) {
    self.model = model
    self.team = team
    self.exchange = exchange
    self.plan = plan
    let trace = EncoderTrace(model, isTraining: true)
    self.trace = trace
    let D = model.encoder.width
    var layout = Layout()
    encoderPlaces = trace.places(&layout)
    sidePlaces = model.side.places(&layout, encoderWidth: D, keeping: .inputs, keepsInputs: true)
    attentionPlaces = model.attention.places(&layout)
    perceptionPlaces = model.perception.places(&layout)
    memoryCount = layout.count
    capacity =
      (0...plan.batch).map {
        LanePlan(batch: $0, lanes: plan.lanes, world: plan.world, rank: plan.rank).ownSamples.count
      }.max() ?? 0
    memory = Buffer(max(capacity, 1) * memoryCount)
    let scratchCount =
      [
        trace.scratchCount, model.side.scratchCount(encoderWidth: D, sidePlaces), model.attention.scratchCount,
        model.perception.scratchCount,
      ].max() ?? 0
    scratch = (0..<team.threadCount).map { _ in Buffer(scratchCount + 64) }
    norms = Dictionary(uniqueKeysWithValues: Phase.allCases.map { ($0, model.norms($0)) })
    blockSegments = model.encoder.blocks.map(Self.segment)
    lastFeature = encoderPlaces.features.keys.max()
    let segments =
      [model.perception.segment, model.attention.segment, model.side.rootSegment] + model.side.layerSegments
      + blockSegments
    let largest = segments.map(\.count).max() ?? 0
    largestSegment = largest
    slots = plan.ownLanes.map { _ in Buffer(largest) }
    losses = LaneTable(lanes: plan.lanes, width: 3)
  }

  private static func segment(_ block: TransformerBlock) -> Range<Int> {
    let updates = [block.q, block.k, block.v, block.out, block.fc1, block.fc2].compactMap(\.lora)
    guard let first = updates.first, let last = updates.last else { return 0..<0 }
    return first.a.offset..<last.b.range.upperBound
  }

  // MARK: Input

  /// Begins a step: cuts a global batch of `count` samples into lanes.
  public func begin(batch count: Int) {
    plan = LanePlan(batch: count, lanes: plan.lanes, world: plan.world, rank: plan.rank)
    samples.removeAll(keepingCapacity: true)
    laneSamples.removeAll(keepingCapacity: true)
    for lane in plan.ownLanes {
      let start = samples.count
      for position in plan.samples(ofLane: lane) {
        samples.append(Sample(lane: lane, position: position, label: 0, input: .pixels))
      }
      laneSamples.append(start..<samples.count)
    }
  }

  /// Positions in the global batch that this rank holds.
  public var ownPositions: Range<Int> { plan.ownSamples }

  /// Tells a sample's label and what has been put into its memory.
  public func set(_ index: Int, label: Int, input: Input) {
    samples[index].label = label
    samples[index].input = input
  }

  private func base(_ index: Int) -> Floats { memory.base + index * memoryCount }

  /// Where a sample's patches [N, 3·p·p] belong.
  public func patches(_ index: Int) -> Floats { base(index) + encoderPlaces.patches }

  /// Where its h⁽ᵐ⁻¹⁾ [1 + N, D] belongs.
  public func tail(_ index: Int) -> Floats { base(index) + encoderPlaces.tail }

  /// Where the patch tokens [N, D] of a frozen fused layer belong.
  public func feature(_ layer: Int, _ index: Int) -> Floats {
    trace.patchTokens(layer, base(index), encoderPlaces)
  }

  // MARK: The step

  /// Forward and backward; leaves this rank's gradients of what the phase trains, summed over its lanes, in the
  /// gradient arena, and the norms' new statistics pending.
  ///
  /// - Parameters:
  ///   - step: the global step, from 1, which dropout draws depend on.
  ///   - onSummed: called with each range of the gradient arena as soon as it is final for this rank; together the
  ///     ranges are what the phase trains, in an order that the phase alone decides.
  public func run(
    _ phase: Phase, seed: UInt64, step: Int, onSummed: (Range<Int>) -> Void = { _ in }
  ) -> Outcome {
    let g = model.encoder.grid
    let N = g * g
    let rows = plan.batch * N
    let first = model.encoder.firstLoRABlock
    let usesAttention = phase.usesAttention
    let (side, attention, perception) = (model.side, model.attention, model.perception)
    let (eAt, sAt, aAt, pAt) = (encoderPlaces, sidePlaces, attentionPlaces, perceptionPlaces)
    let D = model.encoder.width

    func hidden(_ m: Floats) -> Floats { trace.patchTokens(model.encoder.depth, m, eAt) }
    func hSBN(_ m: Floats) -> Floats { m + (sAt.inputs.last ?? 0) }
    func alpha(_ m: Floats) -> ConstFloats? { usesAttention ? ConstFloats(m + aAt.alpha) : nil }
    func draw(_ name: String, _ sample: Sample) -> RandomStream {
      RandomStream(seed: seed, name: name, index: UInt64(step) << 32 | UInt64(sample.position))
    }

    // Encoder, side branch and the attention branch's stem.
    func encode(_ sample: Sample, _ m: Floats, _ scratch: Floats) {
      switch sample.input {
      case .pixels: Profile.of(.frozenBlocks) { trace.forwardFrozen(m, eAt, upTo: first - 1, scratch: scratch) }
      case .tail where usesAttention:
        if let last = lastFeature {
          Profile.of(.frozenBlocks) { trace.forwardFrozen(m, eAt, upTo: last, scratch: scratch) }
        }
      case .tail, .features: break
      }
      Profile.of(.trainedBlocks) { trace.forwardLive(m, eAt, scratch: scratch) }
    }
    if usesAttention {
      forward(.attentionBranch, attention.stemNorm, rows: rows) { sample, m, scratch in
        encode(sample, m, scratch)
        Profile.of(.sideBranch) {
          side.forward(
            m, sAt, patches: m + eAt.patches,
            feature: { ConstFloats(self.trace.patchTokens($0, m, eAt)) }, scratch: scratch)
        }
        return attention.forwardStem(m, aAt, hSBN: hSBN(m), scratch: scratch)
      }
      forward(.attentionBranch, attention.mapsNorm, rows: rows) { _, m, scratch in
        attention.forwardMaps(m, aAt, scratch: scratch)
      }
      forward(.attentionBranch, attention.alphaNorm, rows: rows) { _, m, scratch in
        attention.forwardAlpha(m, aAt, scratch: scratch)
      }
    }
    forward(.perceptionBranch, perception.stages[0].norm, rows: rows) { sample, m, scratch in
      if usesAttention {
        Profile.of(.attentionBranch) { attention.finishAlpha(m, aAt, draw: draw("attention.dropout", sample)) }
      } else {
        encode(sample, m, scratch)
      }
      let x = perception.prepareInput(m, pAt, h: hidden(m))
      return perception.forwardFirst(m, pAt, input: x, alpha: alpha(m), scratch: scratch)
    }
    for index in 1..<max(perception.stages.count, 1) {
      let stage = perception.stages[index]
      forward(.perceptionBranch, stage.norm, rows: plan.batch * stage.grid * stage.grid) { _, m, scratch in
        perception.forwardStage(index, m, pAt, scratch: scratch)
      }
    }
    losses.clear()
    region(.perceptionBranch) { sample, m, _ in
      perception.forwardLogits(m, pAt, draw: draw("perception.dropout", sample))
      self.addLoss(sample, m, usesAttention: usesAttention)
    }
    exchange.gather(losses)

    // Perception branch.
    zeroSlots(perception.segment)
    let last = perception.stages.count - 1
    backward(.perceptionBranch, perception.stages[last].norm, perception.segment, rows: plan.batch * stageCells(last)) {
      _, m, slot, scratch in
      perception.backwardLogits(m, pAt, slot: slot, scratch: scratch)
    }
    for index in stride(from: last, to: 0, by: -1) {
      backward(
        .perceptionBranch, perception.stages[index - 1].norm, perception.segment,
        rows: plan.batch * stageCells(index - 1)
      ) { _, m, slot, scratch in
        perception.backwardStage(index, m, pAt, slot: slot, scratch: scratch)
      }
    }
    let trainsEncoder = first <= model.encoder.depth
    region(.perceptionBranch, perception.segment) { _, m, slot, scratch in
      let dh = m + eAt.gradient
      if trainsEncoder { clear(dh, (N + 1) * D) }
      perception.backwardFirst(
        trainsEncoder ? dh + D : nil, dAlpha: usesAttention ? m + aAt.dAlpha : nil, m, pAt, h: hidden(m),
        alpha: alpha(m), slot: slot, scratch: scratch)
    }
    sumLanes(perception.segment, onSummed)

    if usesAttention {
      zeroSlots(attention.segment)
      backward(.attentionBranch, attention.alphaNorm, attention.segment, rows: rows) { _, m, _, _ in
        attention.backwardFinish(m, aAt)
      }
      backward(.attentionBranch, attention.mapsNorm, attention.segment, rows: rows) { _, m, slot, scratch in
        attention.backwardAlpha(m, aAt, slot: slot, scratch: scratch)
      }
      backward(.attentionBranch, attention.stemNorm, attention.segment, rows: rows) { _, m, slot, scratch in
        attention.backwardMaps(m, aAt, slot: slot, scratch: scratch)
      }
      region(.attentionBranch, attention.segment) { _, m, slot, scratch in
        attention.backwardStem(m + sAt.gradient, m, aAt, hSBN: hSBN(m), slot: slot, scratch: scratch)
        clear(m + sAt.positionGradient, N * side.width)
        for offset in eAt.featureGradients.values { clear(m + offset, (N + 1) * D) }
      }
      sumLanes(attention.segment, onSummed)
      for index in side.layers.indices.reversed() {
        zeroSlots(side.layerSegments[index])
        region(.sideBranch, side.layerSegments[index]) { _, m, slot, scratch in
          side.backward(
            layer: index, m, sAt, feature: { ConstFloats(self.trace.patchTokens($0, m, eAt)) },
            featureGradient: { layer in eAt.featureGradients[layer].map { m + $0 + D } }, slot: slot,
            scratch: scratch, encoderWidth: D)
        }
        sumLanes(side.layerSegments[index], onSummed)
      }
      zeroSlots(side.rootSegment)
      region(.sideBranch, side.rootSegment) { _, m, slot, _ in
        side.backwardRoot(m, sAt, patches: m + eAt.patches, slot: slot)
      }
      sumLanes(side.rootSegment, onSummed)
    }
    if trainsEncoder {
      for layer in stride(from: model.encoder.depth, through: first, by: -1) {
        let segment = blockSegments[layer - 1]
        zeroSlots(segment)
        region(.trainedBlocks, segment) { _, m, slot, scratch in
          self.trace.backward(layer: layer, m, eAt, usesFusion: usesAttention, slot: slot, scratch: scratch)
        }
        sumLanes(segment, onSummed)
      }
    }
    return outcome(usesAttention: usesAttention)
  }

  /// Whether the norms' new running statistics are finite; the same on every rank.
  public func hasFiniteStatistics(_ phase: Phase) -> Bool { model.norms(phase).allSatisfy(\.isPendingFinite) }

  /// Takes over the norms' new running statistics, once the step's update is made.
  public func commitStatistics(_ phase: Phase) { for norm in norms[phase] ?? [] { norm.commit() } }

  /// Forgets them: the update was refused.
  public func discardStatistics(_ phase: Phase) { for norm in norms[phase] ?? [] { norm.discard() } }

  private func stageCells(_ index: Int) -> Int {
    model.perception.stages[index].grid * model.perception.stages[index].grid
  }

  private func addLoss(_ sample: Sample, _ m: Floats, usesAttention: Bool) {
    let C = model.options.classes
    let row = losses.row(sample.lane)
    let scale = 1 / Double(plan.batch)
    let logits = m + perceptionPlaces.logits
    row[0] += crossEntropy(logits, label: sample.label, classes: C)
    crossEntropyBackward(
      m + perceptionPlaces.dLogits, logits, label: sample.label, classes: C, scale: Float(scale))
    var best = 0
    for c in 1..<max(C, 1) where logits[c] > logits[best] { best = c }
    if best == sample.label { row[2] += 1 }
    if usesAttention {
      let own = m + attentionPlaces.logits
      row[1] += crossEntropy(own, label: sample.label, classes: C)
      crossEntropyBackward(
        m + attentionPlaces.dLogits, own, label: sample.label, classes: C,
        scale: Float(scale * model.options.lambda))
    }
  }

  private func outcome(usesAttention: Bool) -> Outcome {
    let n = Double(plan.batch)
    let perceptionLoss = losses.total(0) / n
    let attentionLoss = losses.total(1) / n
    return Outcome(
      loss: perceptionLoss + (usesAttention ? model.options.lambda * attentionLoss : 0),
      perceptionLoss: perceptionLoss, attentionLoss: usesAttention ? attentionLoss : nil,
      correct: Int(losses.total(2)))
  }

  // MARK: Regions

  /// Runs `body` for every own sample, lanes in parallel, a lane's samples in order.
  private func region(_ part: ProfiledPart, _ body: (Sample, Floats, Floats) -> Void) {
    team.run(laneSamples.count) { lane, thread in
      Profile.of(part) {
        for index in laneSamples[lane] { body(samples[index], base(index), scratch[thread].base) }
      }
    }
  }

  /// The same with each lane's slot for a segment's gradients.
  private func region(
    _ part: ProfiledPart, _ segment: Range<Int>, _ body: (Sample, Floats, GradientSlot, Floats) -> Void
  ) {
    team.run(laneSamples.count) { lane, thread in
      let slot = GradientSlot(base: slots[lane].base, origin: segment.lowerBound)
      Profile.of(part) {
        for index in laneSamples[lane] { body(samples[index], base(index), slot, scratch[thread].base) }
      }
    }
  }

  /// A region that ends at a batch norm: `body` returns the norm's input, whose sums are completed. Without a norm
  /// (head `minmax`) it is a plain region.
  private func forward(
    _ part: ProfiledPart, _ norm: BatchNorm?, rows: Int, _ body: (Sample, Floats, Floats) -> Floats
  ) {
    norm?.sums.clear()
    region(part) { sample, m, scratch in
      let x = body(sample, m, scratch)
      norm?.addSums(lane: sample.lane, x, rows: rows / plan.batch)
    }
    norm?.finishSums(exchange, count: rows)
  }

  /// A region that ends at a batch norm's backward sums: `body` returns the gradient of the norm's output and the
  /// norm's input.
  private func backward(
    _ part: ProfiledPart, _ norm: BatchNorm?, _ segment: Range<Int>, rows: Int,
    _ body: (Sample, Floats, GradientSlot, Floats) -> (dy: Floats, x: Floats)
  ) {
    norm?.sums.clear()
    region(part, segment) { sample, m, slot, scratch in
      let (dy, x) = body(sample, m, slot, scratch)
      norm?.addBackwardSums(lane: sample.lane, dy, x, rows: rows / plan.batch)
    }
    guard let norm else { return }
    for (index, lane) in plan.ownLanes.enumerated() {
      norm.writeGradients(
        lane: lane, slot: GradientSlot(base: slots[index].base, origin: segment.lowerBound))
    }
    norm.finishBackwardSums(exchange, count: rows)
  }

  // MARK: Lane sums

  private func zeroSlots(_ segment: Range<Int>) {
    guard !segment.isEmpty else { return }
    team.run(slots.count) { lane, _ in Profile.of(.laneSums) { clear(slots[lane].base, segment.count) } }
  }

  /// Values that a thread sums at a time.
  private static let chunk = 1 << 15

  /// Adds up the lanes' slots by a binary tree over neighbours and puts the sum into the gradient arena.
  private func sumLanes(_ segment: Range<Int>, _ onSummed: (Range<Int>) -> Void) {
    guard !segment.isEmpty else { return }
    let target = model.parameters.gradients.base + segment.lowerBound
    team.run((segment.count + Self.chunk - 1) / Self.chunk) { chunk, _ in
      let start = chunk * Self.chunk
      let count = min(Self.chunk, segment.count - start)
      Profile.of(.laneSums) {
        guard let first = slots.first else { return clear(target + start, count) }
        var distance = 1
        while distance < slots.count {
          for lane in stride(from: 0, to: slots.count - distance, by: 2 * distance) {
            accumulate(slots[lane].base + start, slots[lane + distance].base + start, count)
          }
          distance *= 2
        }
        copy(target + start, first.base + start, count)
      }
    }
    onSummed(segment)
  }
}
