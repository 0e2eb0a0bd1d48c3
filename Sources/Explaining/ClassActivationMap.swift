import ClassActivation
import Encoder
import Failures
import Networks

/// The class activation map (Zhou et al., "Learning Deep Features for Discriminative Localization", CVPR 2016) of the
/// classifier `cam`: Σ_d W[class, d]·h⁽ᵏ⁾[n, d] over the patches, as it is, neither cut at zero nor scaled.
public struct ClassActivationMap: ExplanationMethod {
  public let facts = MethodFacts(name: "cam", title: "CAM", source: "Zhou et al., CVPR 2016")

  public init() {}

  public func check(_ network: any Network) throws { try require("cam", network) }

  public func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    try check(subject.network)
    let encoder = subject.network.encoder
    return { inference in
      guard let inference = inference as? ClassActivationInference else {
        preconditionFailure("a network of kind cam infers by another type")
      }
      return Worker(inference, encoder)
    }
  }

  private final class Worker: MapWorker {
    private let inference: ClassActivationInference
    private let encoder: ImageEncoder

    init(_ inference: ClassActivationInference, _ encoder: ImageEncoder) {
      self.inference = inference
      self.encoder = encoder
    }

    var side: Int { encoder.grid }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap {
      inference.run(pixels: view.pixels, encoder)
      return ExplanationMap(inference.classActivationMap(of: target))
    }
  }
}
