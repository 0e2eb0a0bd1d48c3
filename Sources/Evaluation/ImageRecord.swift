import Foundation
import Images

/// What is measured on one image. `nil` where the image lacks what the metric needs.
public struct ImageRecord: Codable, Equatable, Sendable {
  public var imageID: Int
  /// The data set's own class ids.
  public var label: Int
  public var predicted: Int
  /// Of the true class.
  public var probability: Double
  public var iouHalf: Double?
  public var iouMeanStd: Double?
  /// At each curve threshold of the normalised map.
  public var iouCurve: [Double]?
  /// Pixels above each curve threshold, and those of them in the mask; pixels of the mask.
  public var selected: [Int]?
  public var hits: [Int]?
  public var foreground: Int?
  /// Box IoU at each curve threshold.
  public var boxCurve: [Double]?
  /// Whether the map's maximum lies in the mask, or else in the box.
  public var isPointing: Bool?
  public var insertion: Double?
  public var deletion: Double?

  public init(imageID: Int, label: Int, predicted: Int, probability: Double) {
    self.imageID = imageID
    self.label = label
    self.predicted = predicted
    self.probability = probability
  }

  /// Measures a map on the image's mask and box, both in the view.
  ///
  /// - Parameter map: upsampled, [side, side].
  public mutating func measure(_ map: [Float], side: Int, mask: [Bool]?, box: [Double]?) {
    let normal = normalised(map)
    var peak = 0
    for index in map.indices where map[index] > map[peak] { peak = index }
    if let mask {
      let counts = ThresholdCounts(normalised: normal, mask)
      iouHalf = intersectionOverUnion(normal, above: 0.5, mask)
      iouMeanStd = intersectionOverUnion(map, above: meanStdThreshold(map), mask)
      iouCurve = counts.iou
      selected = counts.selected
      hits = counts.hits
      foreground = counts.foreground
      isPointing = mask[peak]
    }
    if let box {
      let annotated = Box(x0: box[0], y0: box[1], x1: box[2], y1: box[3])
      boxCurve = Evaluation.boxCurve(normalised: normal, side: side, annotated)
      if mask == nil {
        let (y, x) = (Double(peak / side) + 0.5, Double(peak % side) + 0.5)
        isPointing = x >= box[0] && x < box[2] && y >= box[1] && y < box[3]
      }
    }
  }
}
