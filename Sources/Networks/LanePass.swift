import Lanes
import Layers
import Randomness
import Tensor

extension ProfiledPart {
  static let laneSums = ProfiledPart("sums over lanes")
  /// Waiting for other ranks.
  public static let ranks = ProfiledPart("waiting for ranks")
}

/// A sample of the step, as its rank holds it.
public struct LaneSample: Sendable {
  public let lane: Int
  /// In the global batch.
  public let position: Int
  public fileprivate(set) var label = 0
  public fileprivate(set) var input = SampleInput.pixels
}

/// What every network's training pass is made of: memory for a rank's samples, regions in which lanes run in parallel
/// and a lane's samples one after another, batch norms between them, at which lanes and ranks meet (docs/model.md,
/// "Lanes"), and gradients that are gathered lane by lane and summed by a binary tree, segment by segment: a segment is
/// a range of the arenas whose gradients one region makes.
///
/// A step is `beginStep`, a row of regions, and `endStep`.
public final class LanePass: @unchecked Sendable {
  /// What a network's pass needs room for.
  public struct Room: Sendable {
    /// Floats of a sample, and of a thread's scratch.
    public var sample: Int
    public var scratch: Int
    /// The ranges of the arenas whose gradients are summed together.
    public var segments: [Range<Int>]
    /// Parts of the loss.
    public var losses: Int

    public init(sample: Int, scratch: Int, segments: [Range<Int>], losses: Int) {
      self.sample = sample
      self.scratch = scratch
      self.segments = segments
      self.losses = losses
    }
  }

  public private(set) var plan: LanePlan
  /// The most values of a range that `onSummed` is told of.
  public let largestSegment: Int
  /// Called with each range of the gradient arena as soon as it is final for this rank; together a step's ranges are
  /// what its phase trains, in an order that the phase alone decides.
  public var onSummed: (Range<Int>) -> Void = { _ in }

  private let team: ThreadTeam
  private let exchange: any LaneExchange
  private let sampleCount: Int
  private let memory: Buffer
  private let scratch: [Buffer]
  private let slots: LaneSlots
  /// By lane: the parts of the loss, and how many samples are classified rightly.
  private let losses: LaneTable

  private var samples: [LaneSample] = []
  /// The samples of each own lane, as indices into `samples`.
  private var laneSamples: [Range<Int>] = []
  private var place = StepPlace(seed: 0, epoch: 1, step: 1)
  /// The step's segments that are summed.
  private var summed: [Range<Int>] = []
  /// The step's batch norms.
  private var norms: [BatchNorm] = []

  /// - Parameters:
  ///   - plan: of a full batch; its largest share over the batches is what memory is made for.
  ///   - gradients: the gradient arena.
  ///   - exchange: completes lane sums with other ranks'.
  public init(
    _ plan: LanePlan, room: Room, gradients: Buffer, team: ThreadTeam, exchange: any LaneExchange
  ) {
    self.plan = plan
    self.team = team
    self.exchange = exchange
    sampleCount = room.sample
    let capacity =
      (0...plan.batch).map {
        LanePlan(batch: $0, lanes: plan.lanes, world: plan.world, rank: plan.rank).ownSamples.count
      }.max() ?? 0
    memory = Buffer(max(capacity, 1) * room.sample)
    scratch = (0..<team.threadCount).map { _ in Buffer(room.scratch) }
    let largest = room.segments.map(\.count).max() ?? 0
    largestSegment = largest
    slots = LaneSlots(gradients, size: largest, lanes: plan.ownLanes.count, threads: team.threadCount)
    losses = LaneTable(lanes: plan.lanes, width: room.losses + 1)
    summed.reserveCapacity(room.segments.count)
  }

  // MARK: Samples

  /// Cuts a global batch of `count` samples into lanes.
  public func begin(batch count: Int) {
    plan = LanePlan(batch: count, lanes: plan.lanes, world: plan.world, rank: plan.rank)
    samples.removeAll(keepingCapacity: true)
    laneSamples.removeAll(keepingCapacity: true)
    for lane in plan.ownLanes {
      let start = samples.count
      for position in plan.samples(ofLane: lane) { samples.append(LaneSample(lane: lane, position: position)) }
      laneSamples.append(start..<samples.count)
    }
  }

  /// Positions in the global batch that this rank holds.
  public var ownPositions: Range<Int> { plan.ownSamples }

  /// Tells a sample's label and what has been put into its memory. Safe from several threads, each for its own sample.
  public func set(_ index: Int, label: Int, input: SampleInput) {
    samples[index].label = label
    samples[index].input = input
  }

  /// A sample's memory.
  public func memory(_ index: Int) -> Floats { memory.base + index * sampleCount }

  /// A sample's own random stream of this step.
  public func draw(_ name: String, _ sample: LaneSample) -> RandomStream {
    RandomStream(seed: place.seed, name: name, index: UInt64(place.step) << 32 | UInt64(sample.position))
  }

  // MARK: A step

  public func beginStep(at place: StepPlace) {
    self.place = place
    norms.removeAll(keepingCapacity: true)
    summed.removeAll(keepingCapacity: true)
    losses.clear()
  }

  /// Ends a step.
  ///
  /// - Parameter trained: what the phase trains; the segments that were summed are exactly that.
  public func endStep(trained: Range<Int>) {
    var count = 0
    for (index, range) in summed.enumerated() {
      precondition(trained.contains(range.lowerBound) && range.upperBound <= trained.upperBound)
      precondition(!summed[..<index].contains { $0.overlaps(range) })
      count += range.count
    }
    precondition(count == trained.count, "a step sums \(count) gradients of \(trained.count) that its phase trains")
  }

  /// Whether the step's norms' new running statistics are finite; the same on every rank.
  public var hasFiniteStatistics: Bool { norms.allSatisfy(\.isPendingFinite) }

  /// Takes over the norms' new running statistics, once the step's update is made.
  public func commitStatistics() { for norm in norms { norm.commit() } }

  /// Forgets them: the update was refused.
  public func discardStatistics() { for norm in norms { norm.discard() } }

  // MARK: Losses

  /// Adds a sample's share to a part of the loss.
  public func addLoss(_ part: Int, _ sample: LaneSample, _ value: Double) { losses.row(sample.lane)[part] += value }

  /// Counts a sample that is classified rightly.
  public func addCorrect(_ sample: LaneSample) { losses.row(sample.lane)[losses.width - 1] += 1 }

  /// Completes the losses over lanes and ranks. Call after a region that adds them, and again after another.
  public func finishLosses() { complete(losses) }

  /// A part of the loss, the mean over the global batch.
  public func loss(_ part: Int) -> Double { losses.total(part) / Double(plan.batch) }

  /// A part of the loss summed over the global batch.
  public func sum(_ part: Int) -> Double { losses.total(part) }

  /// Samples of the global batch that are classified rightly.
  public var correct: Int { Int(losses.total(losses.width - 1)) }

  private func complete(_ table: LaneTable) { Profile.of(.ranks) { exchange.complete(table) } }

  // MARK: Regions

  /// Runs `body` for every own sample, with its memory and a thread's scratch.
  public func region(_ part: ProfiledPart, _ body: (LaneSample, Floats, Floats) -> Void) {
    team.run(laneSamples.count) { lane, thread in
      Profile.of(part) {
        for index in laneSamples[lane] { body(samples[index], memory(index), scratch[thread].base) }
      }
    }
  }

  /// The same with each lane's slot for the gradients of a segment, which `body` adds to and which are then summed.
  ///
  /// - Parameter segment: one of the room's; an empty one is a plain region's.
  public func region(
    _ part: ProfiledPart, summing segment: Range<Int>, _ body: (LaneSample, Floats, GradientSlot, Floats) -> Void
  ) {
    sumLanes(segment) { lane, slot, thread in
      Profile.of(part) {
        for index in laneSamples[lane] { body(samples[index], memory(index), slot, scratch[thread].base) }
      }
    }
  }

  /// Makes the gradients of a segment: `body` adds a lane's to its slot.
  private func sumLanes(_ segment: Range<Int>, _ body: (_ lane: Int, _ slot: GradientSlot, _ thread: Int) -> Void) {
    slots.begin(segment, lanes: laneSamples.count)
    team.run(laneSamples.count) { lane, thread in
      body(lane, slots.slot(lane), thread)
      slots.end(lane)
    }
    guard !segment.isEmpty else { return }
    summed.append(segment)
    onSummed(segment)
  }

  /// A region that ends at a batch norm: `body` returns the norm's input, whose sums are completed. Without a norm it
  /// is a plain region.
  ///
  /// - Parameter rows: of a sample's input.
  public func forward(
    _ part: ProfiledPart, _ norm: BatchNorm?, rows: Int, _ body: (LaneSample, Floats, Floats) -> Floats
  ) {
    norm?.sums.clear()
    region(part) { sample, m, scratch in
      let x = body(sample, m, scratch)
      norm?.addSums(lane: sample.lane, x, rows: rows)
    }
    guard let norm else { return }
    norms.append(norm)
    complete(norm.sums)
    norm.finishSums(count: plan.batch * rows)
  }

  /// A region that ends at a batch norm's backward sums: `body` returns the gradient of the norm's output and the norm's
  /// input. Without a norm it is a region that sums gradients, or a plain one.
  ///
  /// - Parameters:
  ///   - rows: of a sample's input.
  ///   - segment: of the room's, which holds the norm's tensors.
  public func backward(
    _ part: ProfiledPart, _ norm: BatchNorm?, rows: Int, summing segment: Range<Int>,
    _ body: (LaneSample, Floats, GradientSlot, Floats) -> (dy: Floats, x: Floats)
  ) {
    norm?.sums.clear()
    sumLanes(segment) { lane, slot, thread in
      Profile.of(part) {
        for index in laneSamples[lane] {
          let (dy, x) = body(samples[index], memory(index), slot, scratch[thread].base)
          norm?.addBackwardSums(lane: samples[index].lane, dy, x, rows: rows)
        }
        norm?.writeGradients(lane: plan.ownLanes.lowerBound + lane, slot: slot)
      }
    }
    guard let norm else { return }
    complete(norm.sums)
    norm.finishBackwardSums(count: plan.batch * rows)
  }
}

extension NetworkPass {
  /// Where a sample's patches [N, 3·p·p] belong.
  public func patches(_ index: Int) -> Floats { trace.patches(lanes.memory(index)) }
  /// Where its h⁽ᵐ⁻¹⁾ [1 + N, D] belongs.
  public func tail(_ index: Int) -> Floats { trace.tail(lanes.memory(index)) }
  /// Where the patch tokens [N, D] of a frozen layer belong.
  public func feature(_ layer: Int, _ index: Int) -> Floats { trace.patchTokens(layer, lanes.memory(index)) }

  /// Begins a step: cuts a global batch of `count` samples into lanes.
  public func begin(batch count: Int) { lanes.begin(batch: count) }

  /// Positions in the global batch that this rank holds.
  public var ownPositions: Range<Int> { lanes.ownPositions }

  /// Tells a sample's label and what has been put into its memory.
  public func set(_ index: Int, label: Int, input: SampleInput) { lanes.set(index, label: label, input: input) }
}
