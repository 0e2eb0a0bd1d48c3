import Encoder
import Failures
import Networks
import Settings
import Tensor

/// Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV
/// 2017) at h⁽ᵏ⁾: ReLU(Σ_d w_d·A[n, d]), w the mean over the patches of the gradient of the class's logit with respect
/// to A, the patches' features before anything weighs them.
public struct GradCAM: ExplanationMethod {
  public let facts = MethodFacts(
    name: "gradcam", title: "Grad-CAM", source: "Selvaraju et al., ICCV 2017", needsGradients: true)

  public init() {}

  public func passes(_ configuration: Configuration) -> Int { 1 }

  public func check(_ network: any Network) throws {
    guard network.makeInference() is any DifferentiableInference else {
      throw Failure.badConfiguration(
        "method \(facts.name) needs gradients, which a network of kind \(network.kind) (model.kind) does not make")
    }
  }

  public func prepare(_ subject: ExplainedModel) throws -> @Sendable (any NetworkInference) -> any MapWorker {
    try check(subject.network)
    let encoder = subject.network.encoder
    return { inference in
      guard let inference = inference as? any DifferentiableInference else {
        preconditionFailure("a network's inferences are of one type")
      }
      return Worker(inference, encoder)
    }
  }

  private final class Worker: MapWorker {
    private let inference: any DifferentiableInference
    private let encoder: ImageEncoder
    /// w [D].
    private let weights: Buffer

    init(_ inference: any DifferentiableInference, _ encoder: ImageEncoder) {
      self.inference = inference
      self.encoder = encoder
      weights = Buffer(encoder.width)
    }

    var side: Int { encoder.grid }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap {
      let (N, D) = (encoder.patchCount, encoder.width)
      inference.run(pixels: view.pixels, encoder)
      globalAveragePool(weights.base, inference.gradient(ofLogit: target), rows: N, channels: D)
      let values = [Float](unsafeUninitializedCapacity: N) { map, count in
        count = N
        guard let base = map.baseAddress else { return }
        multiplyTransposed(base, inference.activations, weights.base, m: N, n: 1, k: D)
      }
      // A value that is not a number stays one: max(x, 0) would hide it.
      return ExplanationMap(values.map { $0 < 0 ? 0 : $0 })
    }
  }
}
