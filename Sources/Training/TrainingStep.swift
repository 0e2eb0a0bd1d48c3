import Experiments
import AttentionLattice
import Cluster
import Foundation
import Layers
import Tensor

/// One step of training over all ranks, once its samples are in the pass: forward, backward, the sum over ranks as far
/// as it is not done beside the backward pass, and the update. The training loop and `ala bench` run the same.
public final class TrainingStep {
  public let pass: TrainingPass
  private let model: LatticeModel
  private let cluster: Cluster
  private let optimizer: Optimizer
  private let reducer: GradientReducer
  private let seed: UInt64

  /// What a step yields, the same on every rank but for the cost.
  public struct Result: Sendable {
    public let outcome: TrainingPass.Outcome
    /// Of the gradient before clipping.
    public let norm: Double
    /// Whether the update was made; one that is not finite is refused.
    public let isUpdated: Bool
    public let gradientCost: GradientReducer.Cost
  }

  /// Call on every rank.
  public init(
    _ model: LatticeModel, batch: Int, team: ThreadTeam, cluster: Cluster, weightDecay: Double, clip: Double,
    seed: UInt64
  ) {
    self.model = model
    self.cluster = cluster
    self.seed = seed
    let lanes = model.options.lanes
    pass = TrainingPass(
      model, plan: LanePlan(batch: batch, lanes: lanes, world: cluster.size, rank: cluster.rank), team: team,
      exchange: ClusterExchange(cluster, lanes: lanes))
    optimizer = Optimizer(model.parameters, team: team, weightDecay: weightDecay, clip: clip)
    reducer = GradientReducer(cluster, base: model.parameters.gradients.base, largest: pass.largestSegment)
  }

  /// - Parameters:
  ///   - number: the global step, from 1.
  ///   - injectsNaN: whether this rank's gradient is made not finite (`training.inject_nan_at_step`).
  public func run(_ phase: Phase, number: Int, learningRate: Double, injectsNaN: Bool = false) -> Result {
    let gradients = model.parameters.gradients.base
    let outcome = pass.run(phase, seed: seed, step: number) { range in
      if injectsNaN { gradients[range.lowerBound] = .nan }
      reducer.start(range)
    }
    let cost = Profile.of(.ranks) { reducer.finish() }
    let range = model.trainedRange(phase)
    let norm = optimizer.gradientNorm(range)
    let isFinite = outcome.loss.isFinite && norm.isFinite && pass.hasFiniteStatistics(phase)
    if isFinite {
      optimizer.step(range, learningRate: learningRate, norm: norm)
      pass.commitStatistics(phase)
    } else {
      pass.discardStatistics(phase)
    }
    return Result(outcome: outcome, norm: norm, isUpdated: isFinite, gradientCost: cost)
  }
}

/// Completes lane sums with the other ranks'.
final class ClusterExchange: LaneExchange {
  private let cluster: Cluster
  private let lanes: [Range<Int>]
  private var counts: [Int32]
  private var displacements: [Int32]

  init(_ cluster: Cluster, lanes: Int) {
    self.cluster = cluster
    self.lanes = (0..<cluster.size).map {
      LanePlan(batch: 0, lanes: lanes, world: cluster.size, rank: $0).ownLanes
    }
    counts = Array(repeating: 0, count: cluster.size)
    displacements = counts
  }

  func gather(_ table: LaneTable) {
    guard cluster.size > 1 else { return }
    for rank in 0..<cluster.size {
      counts[rank] = Int32(lanes[rank].count * table.width)
      displacements[rank] = Int32(lanes[rank].lowerBound * table.width)
    }
    Profile.of(.ranks) { cluster.allGather(table.base, counts: counts, displacements: displacements) }
  }
}
