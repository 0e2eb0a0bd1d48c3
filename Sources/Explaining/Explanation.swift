import Images
import Reporting

/// Where the model looked in one image, and what it took it for.
public struct Explanation: Sendable {
  public let path: String
  /// The method's map [side, side] as produced.
  public let map: [Float]
  public let side: Int
  /// p(ŷ) [C].
  public let probabilities: [Float]

  /// Class indices by descending probability, the first among equals first.
  public func likeliest(_ count: Int) -> [Int] {
    Array(probabilities.indices.sorted { (probabilities[$1], $0) < (probabilities[$0], $1) }.prefix(count))
  }
}

/// An image with its explanation.
public struct ExplainedImage: Sendable {
  public let explanation: Explanation
  public let image: RGBImage
  /// The map in its image; beyond the evaluation view the model saw nothing.
  public let map: PlacedMap
}
