import Cluster
import Encoder
import Estimation
import Experiments
import Failures
import Foundation
import Layers
import Machine
import Networks
import Settings
import Storage

/// The networks of a table, made one after the other on the encoders that they stand on.
final class Survey {
  /// What their shapes tell, without speeds.
  private(set) var shapes: [NetworkShape] = []
  private(set) var grounds: [Ground] = []

  /// What reading data set and encoder has taken.
  private(set) var secondsToBegin = 0.0

  private let networks: [ComparedNetwork]
  private let cluster: Cluster
  /// By the ground's key.
  private var experiments: [String: Experiment] = [:]
  private let standIn: String

  /// MiB of this rank.
  var peakMemory: Int { Processor.peakMemory() }
  var threadCount: Int { experiments.values.first?.team.threadCount ?? 1 }

  /// - Parameters:
  ///   - rows: whose methods must fit their networks.
  ///   - standIn: where this rank may write a classifier without training, for decoders that explain one.
  /// - Throws: `Failure` on every rank alike, naming the row.
  init(_ networks: [ComparedNetwork], rows: [ComparedRow], standIn: String, cluster: Cluster) throws {
    (self.networks, self.standIn, self.cluster) = (networks, standIn, cluster)
    for (index, network) in networks.enumerated() {
      try naming(network.name) {
        let configuration = try configuration(network)
        let key = Ground.key(network.configuration)
        let experiment = try experiment(network, configuration, key: key)
        grounds.append(Ground(experiment, key: key))
        let made = try make(configuration, experiment, training: false)
        shapes.append(NetworkShape(made, epochs: configuration.training.epochs))
        for row in rows where row.network == index { try naming(row.name) { try row.method.check(made) } }
      }
    }
  }

  /// Times a network.
  func measure(_ index: Int, input: SampleInput) throws -> NetworkFacts {
    let network = networks[index]
    return try naming(network.name) {
      let configuration = try configuration(network)
      guard let experiment = experiments[grounds[index].key] else {
        throw Failure.internalError("the network of row \(network.name) stands on nothing")
      }
      let made = try make(configuration, experiment, training: true)
      return NetworkFacts(
        shape: shapes[index], speed: NetworkSpeed(made, experiment, configuration, input: input))
    }
  }

  /// The network's settings, live, and with a stand-in for a classifier that is not there yet.
  private func configuration(_ network: ComparedNetwork) throws -> Configuration {
    var assignments = [RowSetting.Assignment("cache.dir", "null"), .init("cache.layers", "all")]
    if let classifier = network.classifier {
      try writeStandIn(networks[classifier])
      assignments.append(.init(StandIn.setting, standIn))
    }
    return try network.configuration.overlaid(assignments, place: "row \(network.name)")
  }

  private func experiment(
    _ network: ComparedNetwork, _ configuration: Configuration, key: String
  ) throws -> Experiment {
    if let known = experiments[key] { return known }
    let start = Date()
    let experiment = try Experiment(configuration, cluster: cluster, training: false)
    secondsToBegin = max(secondsToBegin, Date().timeIntervalSince(start))
    try checkData(experiment)
    experiments[key] = experiment
    return experiment
  }

  private func make(_ configuration: Configuration, _ experiment: Experiment, training: Bool) throws -> any Network {
    try cluster.agree {
      let options = encoderOptions(configuration)
      let known = experiment.model.encoder.file
      // Which weights are packed goes by the network's own LoRA.
      let encoder = known.options == options ? known : try EncoderFile(options)
      return try makeNetwork(
        configuration, classes: experiment.dataset.classes.count, on: encoder, training: training)
    }
  }

  private func writeStandIn(_ classifier: ComparedNetwork) throws {
    guard let experiment = experiments[Ground.key(classifier.configuration)] else { return }
    let network = try make(classifier.configuration, experiment, training: true)
    network.parameters.initialise(seed: 0)
    // On every rank: hosts need not share the folder.
    try cluster.agree {
      let copy = ParameterCopy(of: network.parameters)
      copy.take()
      try checkpointContents(
        copy,
        attributes: [
          "network": .text(network.kind), "encoder_sha256": .text(experiment.encoderSHA256),
          "encoder_settings": .text(network.encoder.file.choices),
          "config": .text(classifier.configuration.resolvedYAML),
        ]
      ).write(to: standIn)
    }
  }

  /// Says of which row a failure is.
  private func naming<Result>(_ row: String, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let failure as Failure where failure.code == .badConfiguration && !failure.message.hasPrefix("row ") {
      throw cluster.agreed(Failure(failure.code, "row \(row): \(failure.message)"))
    }
  }
}
