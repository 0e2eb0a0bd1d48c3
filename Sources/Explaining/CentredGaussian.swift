import Foundation
import Networks

/// A control: a Gaussian about the centre of the grid, with a standard deviation of 5/14 of its side. It has seen no
/// image, and profits from objects being in the middle.
public struct CentredGaussian: ExplanationMethod {
  public let facts = MethodFacts(
    name: "gaussian", title: "Centred Gaussian", source: nil, readsModel: false)

  public init() {}

  public func prepare(_ subject: ExplainedModel) -> @Sendable (any NetworkInference) -> any MapWorker {
    let g = subject.network.encoder.grid
    let map = Self.map(grid: g)
    return { _ in Worker(side: g, map) }
  }

  /// [g·g].
  public static func map(grid g: Int) -> [Float] {
    let centre = Double(g - 1) / 2
    let sd = 5.0 / 14 * Double(g)
    return (0..<(g * g)).map { index in
      let (y, x) = (Double(index / g) - centre, Double(index % g) - centre)
      return Float(exp(-(x * x + y * y) / (2 * sd * sd)))
    }
  }

  private final class Worker: MapWorker {
    let side: Int
    private let map: [Float]

    init(side: Int, _ map: [Float]) {
      self.side = side
      self.map = map
    }

    func map(_ view: ExplainedView, target: Int) -> ExplanationMap { ExplanationMap(map) }
  }
}
