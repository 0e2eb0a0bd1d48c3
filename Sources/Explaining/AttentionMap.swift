import Failures
import Networks

/// α, the map by which the perception branch weighs h (docs/model.md, "Attention branch").
public struct AttentionMap: ExplanationMethod {
  public let facts = MethodFacts(
    name: "ala", title: "ALA", source: "the Attention Lattice Adapter's own map α")

  public init() {}

  public func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    guard subject.network.makesMap else {
      throw Failure.badConfiguration(
        "--method \(facts.name): a network of kind \(subject.network.kind) makes no map of its own")
    }
    let g = subject.network.encoder.grid
    return { _ in Worker(side: g) }
  }

  private final class Worker: MapWorker {
    let side: Int

    init(side: Int) { self.side = side }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap {
      ExplanationMap(view.prediction.map ?? [])
    }
  }
}
