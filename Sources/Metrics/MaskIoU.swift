/// Intersection over union of a thresholded map with a mask (docs/model.md, "Metrics"). A pixel counts where its value
/// is strictly greater than the threshold; an empty union counts 0.

/// The rules by which a map becomes a mask.
public enum IoURule: String, CaseIterable, Sendable {
  /// 0.5 on the min-max-normalised map.
  case half
  /// mean + population standard deviation of the map.
  case meanStd = "mean_std"
  /// The one threshold on the normalised map that is best on the validation split.
  case valid
}

/// The thresholds of curves: 0, 0.01, …, 0.99.
public let curveThresholds: [Float] = (0..<100).map { Float($0) / 100 }

/// IoU of {map > threshold} with a mask of the same size.
public func intersectionOverUnion(_ map: [Float], above threshold: Float, _ mask: [Bool]) -> Double {
  precondition(map.count == mask.count)
  var intersection = 0
  var union = 0
  for (value, isForeground) in zip(map, mask) {
    let isIn = value > threshold
    if isIn && isForeground { intersection += 1 }
    if isIn || isForeground { union += 1 }
  }
  return union == 0 ? 0 : Double(intersection) / Double(union)
}

/// mean + population standard deviation.
public func meanStdThreshold(_ map: [Float]) -> Float {
  let n = Double(map.count)
  let mean = map.reduce(0.0) { $0 + Double($1) } / n
  let variance = map.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / n
  return Float(mean + variance.squareRoot())
}

/// How a normalised map and a mask meet at every curve threshold.
public struct ThresholdCounts: Equatable, Sendable {
  /// Pixels above the threshold, and those of them in the mask.
  public let selected: [Int]
  public let hits: [Int]
  /// Pixels of the mask.
  public let foreground: Int

  public init(normalised map: [Float], _ mask: [Bool]) {
    var all = [Int](repeating: 0, count: 101)
    var inside = all
    for (value, isForeground) in zip(map, mask) {
      // The number of curve thresholds that the value is strictly greater than.
      var bin = min(max(Int((value * 100).rounded(.up)), 0), 100)
      while bin > 0, !(value > curveThresholds[bin - 1]) { bin -= 1 }
      while bin < 100, value > curveThresholds[bin] { bin += 1 }
      all[bin] += 1
      if isForeground { inside[bin] += 1 }
    }
    var selected = [Int](repeating: 0, count: 100)
    var hits = selected
    var (above, aboveInside) = (0, 0)
    for index in stride(from: 99, through: 0, by: -1) {
      above += all[index + 1]
      aboveInside += inside[index + 1]
      selected[index] = above
      hits[index] = aboveInside
    }
    self.selected = selected
    self.hits = hits
    foreground = mask.count { $0 }
  }

  /// IoU at each curve threshold.
  public var iou: [Double] {
    zip(selected, hits).map { selected, hits in
      let union = selected + foreground - hits
      return union == 0 ? 0 : Double(hits) / Double(union)
    }
  }
}
