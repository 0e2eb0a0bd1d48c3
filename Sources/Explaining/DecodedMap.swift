import Failures
import Networks

/// The foreground of F-CAM's decoder (docs/model.md, "F-CAM"), at the image's own size. It is of the object, whatever the
/// class.
public struct DecodedMap: ExplanationMethod {
  public let facts = MethodFacts(name: "fcam", title: "F-CAM", source: "Belharbi et al., WACV 2022")

  public init() {}

  public func check(_ network: any Network) throws { try require("fcam", network) }

  public func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    try check(subject.network)
    guard let side = subject.network.mapSide else {
      throw Failure.internalError("a network of kind fcam makes no map")
    }
    return { _ in Worker(side: side) }
  }

  private final class Worker: MapWorker {
    let side: Int

    init(side: Int) { self.side = side }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap { ExplanationMap(view.prediction.map ?? []) }
  }
}
