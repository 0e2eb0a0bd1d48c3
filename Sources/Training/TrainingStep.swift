import Cluster
import Lanes
import Layers
import Networks
import Tensor

/// One step of training over all ranks, once its samples are in the pass: forward, backward, the sum over ranks as far
/// as it is not done beside the backward pass, and the update. The training loop and `ala bench` run the same, for any
/// network.
public final class TrainingStep {
  public let pass: any NetworkPass
  private let network: any Network
  private let optimizer: Optimizer
  private let reducer: GradientReducer
  private var injectsNaN = false

  /// What a step yields, the same on every rank but for the cost.
  public struct Result: Sendable {
    public let outcome: StepOutcome
    /// Of the gradient before clipping.
    public let norm: Double
    /// Whether the update was made; one that is not finite is refused.
    public let isUpdated: Bool
    public let gradientCost: GradientReducer.Cost
  }

  /// Call on every rank.
  ///
  /// - Parameters:
  ///   - batch: samples of a full global batch.
  ///   - clip: the largest norm of a gradient; 0 is off.
  public init(
    _ network: any Network, batch: Int, team: ThreadTeam, cluster: Cluster, rule: UpdateRule = .adamW,
    weightDecay: Double, clip: Double
  ) {
    self.network = network
    let plan = LanePlan(batch: batch, lanes: network.lanes, world: cluster.size, rank: cluster.rank)
    pass = network.makePass(plan, team: team, exchange: ClusterExchange(cluster, lanes: network.lanes))
    optimizer = Optimizer(network.parameters, team: team, rule: rule, weightDecay: weightDecay, clip: clip)
    reducer = GradientReducer(
      cluster, base: network.parameters.gradients.base, largest: pass.lanes.largestSegment)
    pass.lanes.onSummed = { [unowned self] range in
      if injectsNaN { self.network.parameters.gradients.base[range.lowerBound] = .nan }
      reducer.start(range)
    }
  }

  /// - Parameter injectsNaN: whether this rank's gradient is made not finite (`training.inject_nan_at_step`).
  public func run(_ phase: Phase, at place: StepPlace, learningRate: Double, injectsNaN: Bool = false) -> Result {
    self.injectsNaN = injectsNaN
    let outcome = pass.run(phase, at: place)
    let cost = Profile.of(.ranks) { reducer.finish() }
    let range = network.trainedRange(phase)
    let norm = optimizer.gradientNorm(range)
    let isFinite = outcome.loss.isFinite && norm.isFinite && pass.lanes.hasFiniteStatistics
    if isFinite {
      optimizer.step(range, learningRate: learningRate, norm: norm)
      pass.lanes.commitStatistics()
    } else {
      pass.lanes.discardStatistics()
    }
    return Result(outcome: outcome, norm: norm, isUpdated: isFinite, gradientCost: cost)
  }
}
