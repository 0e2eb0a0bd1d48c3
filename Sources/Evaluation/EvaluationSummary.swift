import Foundation

/// A data set's figures, from its images' records (interfaces.md 7, `summary.json`).
public struct EvaluationSummary: Codable, Equatable, Sendable {
  public struct Counts: Codable, Equatable, Sendable {
    public let images: Int
    public let withMask: Int
    public let withBox: Int

    enum CodingKeys: String, CodingKey {
      case images
      case withMask = "with_mask"
      case withBox = "with_box"
    }
  }

  public let accuracy: Double
  /// By rule; the primary one is `settings.iou_rule`.
  public let meanIoU: [String: Double]
  /// At each threshold 0, 0.01, …, 0.99 of the normalised map.
  public let iouCurve: [Double]?
  public let validThreshold: Double?
  public let maxBoxAcc: Double?
  public let maxBoxAccV2: Double?
  public let pxap: Double?
  public let pointing: Double?
  public let insertion: Double?
  public let deletion: Double?
  public let id: Double?
  public let counts: Counts
  public let settings: [String: String]
  /// Mean IoU by rule of a centred Gaussian and of random maps on the same images.
  public let controls: [String: [String: Double]]

  enum CodingKeys: String, CodingKey {
    case accuracy
    case meanIoU = "mean_iou"
    case iouCurve = "iou_curve"
    case validThreshold = "valid_threshold"
    case maxBoxAcc = "max_box_acc"
    case maxBoxAccV2 = "max_box_acc_v2"
    case pxap, pointing, insertion, deletion, id, counts, settings, controls
  }

  /// - Parameters:
  ///   - validThreshold: the index into the curve that is best on the validation split; nil where that has no masks.
  public init(
    _ records: [ImageRecord], validThreshold: Int?, settings: [String: String], controls: [String: [String: Double]]
  ) {
    func mean(_ values: [Double]) -> Double? {
      values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }
    accuracy = mean(records.map { $0.label == $0.predicted ? 1 : 0 }) ?? 0
    meanIoU = Self.meanIoU(records, validThreshold: validThreshold)
    iouCurve = Self.meanCurve(records)
    self.validThreshold = validThreshold.map { Double(curveThresholds[$0]) }
    let boxes = records.compactMap(\.boxCurve)
    maxBoxAcc = boxes.isEmpty ? nil : maxBoxAccuracy(boxes, delta: 0.5)
    maxBoxAccV2 = boxes.isEmpty ? nil : mean([0.3, 0.5, 0.7].map { maxBoxAccuracy(boxes, delta: $0) })
    let counted = records.compactMap { record -> ThresholdCounts? in
      guard let selected = record.selected, let hits = record.hits, let foreground = record.foreground else { return nil }
      return ThresholdCounts(selected: selected, hits: hits, foreground: foreground)
    }
    pxap = counted.isEmpty ? nil : pixelAveragePrecision(counted)
    pointing = mean(records.compactMap(\.isPointing).map { $0 ? 1 : 0 })
    insertion = mean(records.compactMap(\.insertion))
    deletion = mean(records.compactMap(\.deletion))
    if let insertion, let deletion { id = insertion - deletion } else { id = nil }
    counts = Counts(images: records.count, withMask: counted.count, withBox: boxes.count)
    self.settings = settings
    self.controls = controls
  }

  /// Mean IoU by rule; empty where no image has a mask. Rule `valid` falls back to `mean_std` without a threshold.
  public static func meanIoU(_ records: [ImageRecord], validThreshold: Int?) -> [String: Double] {
    let half = records.compactMap(\.iouHalf)
    let meanStd = records.compactMap(\.iouMeanStd)
    guard !half.isEmpty else { return [:] }
    let n = Double(half.count)
    var result = [
      IoURule.half.rawValue: half.reduce(0, +) / n, IoURule.meanStd.rawValue: meanStd.reduce(0, +) / n,
    ]
    if let validThreshold, let curve = meanCurve(records) {
      result[IoURule.valid.rawValue] = curve[validThreshold]
    } else {
      result[IoURule.valid.rawValue] = result[IoURule.meanStd.rawValue]
    }
    return result
  }

  /// Mean IoU at each curve threshold.
  public static func meanCurve(_ records: [ImageRecord]) -> [Double]? {
    let curves = records.compactMap(\.iouCurve)
    guard !curves.isEmpty else { return nil }
    return curveThresholds.indices.map { index in
      curves.reduce(0) { $0 + $1[index] } / Double(curves.count)
    }
  }

  /// The curve threshold with the best mean IoU; the lowest among equals.
  public static func bestThreshold(_ records: [ImageRecord]) -> Int? {
    guard let curve = meanCurve(records), let best = curve.max() else { return nil }
    return curve.firstIndex(of: best)
  }

  /// `per_image.csv`: one line an image, in the order given.
  public static func csv(_ records: [ImageRecord], validThreshold: Int?) -> String {
    var text =
      "image_id,label,predicted,probability,iou_half,iou_mean_std,iou_valid,box_iou_best,pointing,insertion,deletion,id\n"
    func cell(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
    for record in records {
      let valid = validThreshold.flatMap { index in record.iouCurve.map { $0[index] } } ?? record.iouMeanStd
      var id: Double?
      if let insertion = record.insertion, let deletion = record.deletion { id = insertion - deletion }
      let cells = [
        "\(record.imageID)", "\(record.label)", "\(record.predicted)", "\(record.probability)", cell(record.iouHalf),
        cell(record.iouMeanStd), cell(valid), cell(record.boxCurve?.max()),
        record.isPointing.map { $0 ? "1" : "0" } ?? "", cell(record.insertion), cell(record.deletion), cell(id),
      ]
      text += cells.joined(separator: ",") + "\n"
    }
    return text
  }
}

extension ThresholdCounts {
  init(selected: [Int], hits: [Int], foreground: Int) {
    self.selected = selected
    self.hits = hits
    self.foreground = foreground
  }
}
