/// Table 1 of the paper: CUB-200-2011, CLIP's ViT-B/16. Its own slips stay as they are (docs/table.md).
public struct PublishedFigure: Equatable, Sendable, Codable {
  public let mean: Double
  public let sd: Double
}

enum PublishedTable {
  /// By row, then by the figure's key in `table.json`.
  static let rows: [String: [String: PublishedFigure]] = [
    "rise": figures((0.390, 0.014), (0.604, 0.007), (0.086, 0.002), (0.522, 0.005)),
    "fcam": figures((0.550, 0.017), (0.681, 0.008), (0.034, 0.001), (0.647, 0.008)),
    "i": figures((0.520, 0.041), (0.678, 0.020), (0.019, 0.002), (0.659, 0.021)),
    "ii": figures((0.477, 0.019), (0.595, 0.054), (0.020, 0.012), (0.575, 0.045)),
    "iii": figures((0.495, 0.008), (0.717, 0.009), (0.014, 0.004), (0.702, 0.011)),
    "iv": figures((0.693, 0.007), (0.704, 0.012), (0.007, 0.002), (0.697, 0.011)),
  ]

  private typealias Pair = (mean: Double, sd: Double)

  private static func figures(
    _ iou: Pair, _ insertion: Pair, _ deletion: Pair, _ id: Pair
  ) -> [String: PublishedFigure] {
    func figure(_ pair: Pair) -> PublishedFigure { PublishedFigure(mean: pair.mean, sd: pair.sd) }
    return [
      ComparedFigure.meanIoU: figure(iou), "insertion": figure(insertion), "deletion": figure(deletion),
      "id": figure(id),
    ]
  }
}
