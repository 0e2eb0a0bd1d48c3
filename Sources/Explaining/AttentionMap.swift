import Networks

/// α, the map by which a network weighs h (docs/model.md, "Attention branch"): the lattice's, or that of an attention
/// branch network.
public struct AttentionMap: ExplanationMethod {
  public let facts: MethodFacts
  private let kind: String

  /// The lattice's.
  public static let ala = AttentionMap(
    kind: "lattice",
    MethodFacts(name: "ala", title: "ALA", source: "the Attention Lattice Adapter's own map α"))

  public static let abn = AttentionMap(
    kind: "abn", MethodFacts(name: "abn", title: "ABN", source: "Fukui et al., CVPR 2019"))

  private init(kind: String, _ facts: MethodFacts) {
    self.kind = kind
    self.facts = facts
  }

  public func check(_ network: any Network) throws { try require(kind, network) }

  public func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    try check(subject.network)
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
