import Networks
import Randomness

/// A control: independent uniform values, a pure function of (seed, image id).
public struct RandomMap: ExplanationMethod {
  public let facts = MethodFacts(name: "random", title: "Random", source: nil, isRandom: true, readsModel: false)

  public init() {}

  public func prepare(_ subject: ExplainedModel) -> @Sendable (any NetworkInference) -> any MapWorker {
    let (g, seed) = (subject.network.encoder.grid, subject.configuration.run.seed)
    return { _ in Worker(side: g, seed: seed) }
  }

  /// [g·g].
  public static func map(grid g: Int, seed: UInt64, imageID: Int) -> [Float] {
    var stream = RandomStream(seed: seed, name: "control.random", index: UInt64(imageID))
    return (0..<(g * g)).map { _ in Float(stream.uniform()) }
  }

  private final class Worker: MapWorker {
    let side: Int
    private let seed: UInt64

    init(side: Int, seed: UInt64) {
      self.side = side
      self.seed = seed
    }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap {
      ExplanationMap(RandomMap.map(grid: side, seed: seed, imageID: view.imageID))
    }
  }
}
