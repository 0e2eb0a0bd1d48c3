import AttentionLattice

/// α, the map by which the perception branch weighs h (docs/model.md, "Attention branch").
public struct AttentionMap: ExplanationMethod {
  public let facts = MethodFacts(
    name: "ala", title: "ALA", source: "the Attention Lattice Adapter's own map α")

  public init() {}

  public func prepare(_ subject: ExplainedModel) -> @Sendable (Inference) -> any MapWorker {
    { Worker(side: $0.model.encoder.grid) }
  }

  private final class Worker: MapWorker {
    let side: Int

    init(side: Int) { self.side = side }

    func map(_ view: ExplainedView, target: Int) -> [Float] { view.prediction.alpha }
  }
}
