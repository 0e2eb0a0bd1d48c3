import Caching
import Experiments
import Machine
import Networks
import Safetensors
import Settings
import Training

/// What a command will do with a network, as far as its cost goes.
public enum Work {
  case caching
  case training
  case evaluation(EvaluatedWork)

  public var trains: Bool { if case .training = self { true } else { false } }
}

/// The memory of a rank: what it has touched when data and encoder are read, and what it asks for before its first step,
/// by the kernel's count, though nothing of that is touched yet.
struct MeasuredMemory {
  /// Bytes of each rank's own.
  let own: Int
  /// Bytes at most of the encoder, which the ranks of a machine share.
  let shared: Int
  let ranksOfMachine: Int

  /// Makes what the work makes, and lets it go again. Call on every rank.
  init(_ work: Work, _ experiment: Experiment) throws {
    let network = experiment.model
    let (touched, before) = (Processor.touchedMemory(), Processor.ownMemory())
    var held: [AnyObject] = []
    switch work {
    case .caching:
      let fingerprint = experiment.cacheFingerprint(isReading: false)
      held += (0..<experiment.team.threadCount).map { _ in experiment.makeExtractor(fingerprint) }
    case .training:
      held.append(TrainingStep(network, experiment.configuration.training, experiment))
      held += (0..<experiment.team.threadCount).map { _ in network.makeInference() }
    case .evaluation:
      held += (0..<experiment.team.threadCount).map { _ in network.makeInference() }
    }
    let asked = max(Processor.ownMemory() - before, 0)
    // Weights; in training gradients and two moments beside them.
    let arenas = (work.trains ? 16 : 4) * network.parameters.count
    // Rank 0 keeps a copy of weights and moments for checkpoints that are written beside the steps.
    let copy = work.trains ? 12 * network.parameters.count : 0
    own = experiment.cluster.maximum(touched + asked) + arenas + copy + Self.programBytes
    withExtendedLifetime(held) {}
    let tensors = try SafetensorsFile(path: experiment.configuration.encoder.weights).tensors
    shared = tensors.values.reduce(0) { $0 + 4 * $1.shape.reduce(1, *) }
    ranksOfMachine = experiment.cluster.localSize
  }

  /// Pages of the program's and the libraries' files (50 MiB), and what libraries keep once they are at work.
  private static let programBytes = 60 << 20

  var line: String {
    let all = ranksOfMachine * own + shared
    let ranks = ranksOfMachine == 1 ? "1 rank" : "\(ranksOfMachine) ranks"
    return "memory: about \(Quantity.words(bytes: own)) a rank, and at most \(Quantity.words(bytes: shared)) of the "
      + "encoder that a machine's ranks share; \(ranks) here about \(Quantity.words(bytes: all)) of "
      + Quantity.words(bytes: Int(MachineMemory.bytes))
  }
}
