import Foundation
import Images

/// What became of an image's mask.
public enum MaskState: String, Codable, Sendable {
  /// The data set has none for this image.
  case absent
  case used
  /// No foreground is left in the view: used, and IoU is 0.
  case empty
  /// Of another size than its image: not used.
  case wrongSize = "wrong_size"
  /// Damaged: not used.
  case unreadable
}

/// What is measured on one image. `nil` where the image lacks what the metric needs, or its map is not finite.
public struct ImageRecord: Codable, Equatable, Sendable {
  public var imageID: Int
  /// The data set's own class ids.
  public var label: Int
  public var predicted: Int
  /// Of the true class.
  public var probability: Double
  public var maskState = MaskState.absent
  /// What is wrong with the mask, for people.
  public var maskProblem: String?
  /// The mask's levels where none is above `data.mask_threshold` though not all are 0.
  public var darkMaskLevels: [Int]?
  /// Whether the map and the probabilities hold finite values alone; nothing is measured on a map that does not.
  public var isFinite = true
  /// The share of the map's values, as the method has made them, that are above 1/2.
  public var mapArea: Double?
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
  /// The target class's probability at each point, and the areas under the curves.
  public var insertionCurve: [Double]?
  public var deletionCurve: [Double]?
  public var insertion: Double?
  public var deletion: Double?
  /// What the method says of its work, under the keys of `FigureTable`.
  public var notes: [String: Double]?

  /// A prediction of probabilities that are not finite is none, and wrong.
  public var isRight: Bool { label == predicted && probability.isFinite }

  /// Insertion − deletion.
  public var id: Double? { insertion.flatMap { insertion in deletion.map { insertion - $0 } } }

  public init(imageID: Int, label: Int, predicted: Int, probability: Double) {
    self.imageID = imageID
    self.label = label
    self.predicted = predicted
    self.probability = probability
  }

  /// Measures a map on the image's mask and box, both in the view.
  ///
  /// - Parameters:
  ///   - map: upsampled, [side, side].
  ///   - rules: by which the mask and rule `mean_std` are read.
  public mutating func measure(
    _ map: [Float], side: Int, mask: [Bool]?, box: Box?, by rules: EvaluationProtocol = .standard
  ) {
    let normal = normalised(map)
    var peak = 0
    for index in map.indices where map[index] > map[peak] { peak = index }
    if let mask {
      let counts = ThresholdCounts(normalised: normal, mask)
      iouHalf = intersectionOverUnion(normal, above: 0.5, mask)
      iouMeanStd = rules.meanStdIoU(map, side: side, mask)
      iouCurve = counts.iou
      selected = counts.selected
      hits = counts.hits
      foreground = counts.foreground
      isPointing = mask[peak]
    }
    if let box {
      boxCurve = Metrics.boxCurve(normalised: normal, side: side, box)
      if mask == nil {
        let (y, x) = (Double(peak / side) + 0.5, Double(peak % side) + 0.5)
        isPointing = x >= box.x0 && x < box.x1 && y >= box.y0 && y < box.y1
      }
    }
  }

  /// Measures a map as its method has made it.
  public mutating func measure(raw map: [Float]) {
    mapArea = map.isEmpty ? nil : Double(map.count { $0 > 0.5 }) / Double(map.count)
  }

  /// Takes over the curves of insertion and deletion; areas only where every value is finite.
  public mutating func measure(_ plan: PerturbationPlan, insertion: [Double], deletion: [Double]) {
    guard (insertion + deletion).allSatisfy(\.isFinite) else {
      isFinite = false
      return
    }
    insertionCurve = insertion
    deletionCurve = deletion
    self.insertion = plan.area(insertion)
    self.deletion = plan.area(deletion)
  }
}

extension ImageRecord {
  /// IoU by a rule that needs no other image; nil without a mask.
  public func iou(_ rule: IoURule) -> Double? {
    switch rule {
    case .half: iouHalf
    case .meanStd: iouMeanStd
    case .valid: nil
    }
  }

  var thresholdCounts: ThresholdCounts? {
    guard let selected, let hits, let foreground else { return nil }
    return ThresholdCounts(selected: selected, hits: hits, foreground: foreground)
  }
}

extension ThresholdCounts {
  init(selected: [Int], hits: [Int], foreground: Int) {
    self.selected = selected
    self.hits = hits
    self.foreground = foreground
  }
}
