import Networks

/// What a network's shape tells of it.
public struct NetworkShape: Sendable {
  public let frozenLayers: [Int]
  public let firstLoRABlock: Int
  /// Floats of the trained tensors, and of the running statistics.
  public let trainedCount: Int
  public let statisticCount: Int
  /// Of both.
  public let tensorCount: Int
  /// How many of all epochs are of a phase.
  public let epochs: [(phase: Phase, count: Double)]

  /// Epochs that are looked at: phases alternate in far shorter periods.
  private static let lookedAt = 1000

  public init(_ network: any Network, epochs: Int) {
    frozenLayers = network.frozenLayers
    firstLoRABlock = network.encoder.firstLoRABlock
    trainedCount = network.parameters.parameters.reduce(0) { $0 + $1.count }
    statisticCount = network.parameters.statistics.reduce(0) { $0 + $1.count }
    tensorCount = network.parameters.parameters.count + network.parameters.statistics.count
    let first = (1...min(epochs, Self.lookedAt)).map { network.phase(epoch: $0) }
    self.epochs = network.phases.map { phase in
      (phase, Double(first.count { $0 == phase }) * Double(epochs) / Double(first.count))
    }
  }
}

/// What is known of a network before it is trained.
public struct NetworkFacts: Sendable {
  public let shape: NetworkShape
  public let speed: NetworkSpeed

  public init(shape: NetworkShape, speed: NetworkSpeed) {
    (self.shape, self.speed) = (shape, speed)
  }
}
