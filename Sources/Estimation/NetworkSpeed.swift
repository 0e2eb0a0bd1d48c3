import Cluster
import Dispatch
import Experiments
import Layers
import Machine
import Networks
import Settings
import Tensor
import Training

/// How long a network's work takes here, measured on random features in a second or two.
public struct NetworkSpeed: Sendable {
  /// Of a training step, for each of its samples, with all ranks at work; by the phase's name.
  public let secondsPerSample: [String: Double]
  /// Of a forward pass from pixels, with all threads of all ranks at work.
  public let secondsPerView: Double

  /// The first run of all touches its memory for the first time: it counts only where it takes too long for another.
  private static let secondsForAnother = 2.0
  private static let secondsForMore = 0.3
  private static let mostRuns = 4

  /// Measures. Call on every rank; the slowest one counts.
  ///
  /// - Parameters:
  ///   - input: what a training sample comes with.
  ///   - trains: false leaves the training step out; the network then needs no gradients.
  public init(
    _ network: any Network, _ experiment: Experiment, _ configuration: Configuration, input: SampleInput,
    trains: Bool = true
  ) {
    let (cluster, team) = (experiment.cluster, experiment.team)
    network.parameters.initialise(seed: 0)
    let settings = configuration.training
    let step = trains ? TrainingStep(network, settings, experiment) : nil
    secondsPerSample = step.map { Self.seconds($0, network, settings, cluster, input: input) } ?? [:]
    let inferences = (0..<team.threadCount).map { _ in network.makeInference() }
    let encoder = network.encoder
    for inference in inferences { fillWithNoise(inference.patches, encoder.patchCount * encoder.patchValues, seed: 1) }
    secondsPerView =
      Self.best(cluster) {
        team.run(team.threadCount) { task, _ in inferences[task].run(.pixels) }
      } / Double(team.threadCount * cluster.size)
    // A run validates beside its pass: both are in the peak of memory.
    withExtendedLifetime(step) {}
  }

  private static func seconds(
    _ step: TrainingStep, _ network: any Network, _ settings: Configuration.Training, _ cluster: Cluster,
    input: SampleInput
  ) -> [String: Double] {
    step.pass.begin(batch: settings.batch)
    for index in 0..<step.pass.ownPositions.count { fill(step.pass, index, network, input) }
    var seconds: [String: Double] = [:]
    for phase in network.phases {
      seconds[phase.name] =
        best(cluster) {
          step.pass.begin(batch: settings.batch)
          for index in 0..<step.pass.ownPositions.count { step.pass.set(index, label: 0, input: input) }
          _ = step.run(phase, at: StepPlace(seed: 0, epoch: 1, step: 1), learningRate: 1e-12)
        } / Double(settings.batch)
    }
    return seconds
  }

  private static func best(_ cluster: Cluster, _ work: () -> Void) -> Double {
    var (best, sum) = (Double.infinity, 0.0)
    for run in 1...mostRuns {
      cluster.barrier()
      let start = DispatchTime.now().uptimeNanoseconds
      work()
      let taken = Double(cluster.maximum(Int(elapsedNanoseconds(since: start)))) / 1e9
      (best, sum) = (min(best, taken), sum + taken)
      if sum > secondsForAnother || (run > 1 && sum > secondsForMore) { break }
    }
    return best
  }

  private static func fill(_ pass: any NetworkPass, _ index: Int, _ network: any Network, _ input: SampleInput) {
    let encoder = network.encoder
    fillWithNoise(pass.patches(index), encoder.patchCount * encoder.patchValues, seed: UInt64(index))
    guard case .features(let tail) = input else { return }
    pass.fillFeaturesWithNoise(index, of: network, tail: tail)
  }
}

extension TrainingStep {
  /// The step of a network under some settings.
  convenience init(_ network: any Network, _ settings: Configuration.Training, _ experiment: Experiment) {
    self.init(
      network, batch: settings.batch, team: experiment.team, cluster: experiment.cluster,
      weightDecay: settings.weightDecay, clip: settings.clip)
  }
}
