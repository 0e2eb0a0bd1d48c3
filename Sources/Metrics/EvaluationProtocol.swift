import Images

/// How explanations are measured: in the standard way (docs/model.md, "Metrics"), or as the authors' earlier code did
/// (docs/model.md, "The authors' earlier protocol"), for comparison with numbers that were published by it. Everything
/// in which the two differ is here.
public enum EvaluationProtocol: String, CaseIterable, Sendable {
  case standard
  case lab

  /// The foreground [S, S] of a mask in a view.
  ///
  /// - Parameter threshold: `data.mask_threshold`, which the earlier protocol does not read.
  public func foreground(_ mask: GrayImage, in geometry: ViewGeometry, above threshold: Int) -> [Bool] {
    switch self {
    case .standard: geometry.render(mask, above: threshold)
    case .lab: geometry.renderNonZero(mask)
    }
  }

  /// IoU by rule `mean_std` of a map [side, side] with a mask.
  public func meanStdIoU(_ map: [Float], side: Int, _ mask: [Bool]) -> Double {
    switch self {
    case .standard: intersectionOverUnion(map, above: meanStdThreshold(map), mask)
    case .lab: labIntersectionOverUnion(map, side: side, mask)
    }
  }

  /// The points of insertion and deletion.
  public func plan(_ map: [Float], steps: Int) -> PerturbationPlan {
    switch self {
    case .standard: PerturbationPlan(map: map, steps: steps)
    case .lab: PerturbationPlan(labMap: map)
    }
  }

  /// How many points a curve has beside its first.
  public func pointCount(steps: Int) -> Int {
    switch self {
    case .standard: steps
    case .lab: PerturbationPlan.labPoints
    }
  }

  /// The same in words.
  public func pointsInWords(steps: Int) -> String {
    "\(pointCount(steps: steps)) \(self == .standard ? "steps" : "points")"
  }

  /// Whether the predicted class is that of the largest logits_PB + logits_AB instead of logits_PB.
  public var sumsLogits: Bool { self == .lab }
}
