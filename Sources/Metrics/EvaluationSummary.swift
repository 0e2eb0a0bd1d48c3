import Foundation

/// What a summary says beside the figures: what was evaluated, and how.
public struct EvaluationContext: Sendable {
  public var settings: [String: String] = [:]
  public var modelSHA256 = ""
  public var classes: [EvaluationSummary.ClassName] = []
  /// g and S.
  public var grid = 0
  public var side = 0
  /// By name, mean IoU by rule of maps that say nothing of the trained model, on the same images.
  public var controls: [String: [String: Double]] = [:]
  /// Places of the curves' points in [0, 1]; nil where insertion and deletion are not measured.
  public var fractions: [Double]?

  public init() {}
}

/// A data set's figures, from its images' records (interfaces.md 7, `summary.json`). What could not be measured is null.
public struct EvaluationSummary: Codable, Equatable, Sendable {
  public struct ClassName: Codable, Equatable, Sendable {
    public let id: Int
    public let name: String

    public init(id: Int, name: String) {
      self.id = id
      self.name = name
    }
  }

  public struct Counts: Codable, Equatable, Sendable {
    public let images: Int
    /// Whose mask is used, empty ones included.
    public let withMask: Int
    public let withBox: Int
    public let maskAbsent: Int
    public let maskEmpty: Int
    public let maskWrongSize: Int
    /// nil where every mask can be read.
    public let maskUnreadable: Int?
    public let notFinite: Int

    enum CodingKeys: String, CodingKey {
      case images
      case withMask = "with_mask"
      case withBox = "with_box"
      case maskAbsent = "mask_absent"
      case maskEmpty = "mask_empty"
      case maskWrongSize = "mask_wrong_size"
      case maskUnreadable = "mask_unreadable"
      case notFinite = "not_finite"
    }

    init(_ records: [ImageRecord]) {
      images = records.count
      withMask = records.count { $0.maskState == .used || $0.maskState == .empty }
      withBox = records.count { $0.boxCurve != nil }
      maskAbsent = records.count { $0.maskState == .absent }
      maskEmpty = records.count { $0.maskState == .empty }
      maskWrongSize = records.count { $0.maskState == .wrongSize }
      let unreadable = records.count { $0.maskState == .unreadable }
      maskUnreadable = unreadable > 0 ? unreadable : nil
      notFinite = records.count { !$0.isFinite }
    }
  }

  /// A mean curve over images, with its standard deviation at each point.
  public struct Curve: Codable, Equatable, Sendable {
    public let fraction: [Double]
    public let mean: [Double]
    public let sd: [Double]

    init?(_ curves: [[Double]], at fractions: [Double]?) {
      guard let fractions, !curves.isEmpty else { return nil }
      fraction = fractions
      mean = fractions.indices.map { i in curves.reduce(0) { $0 + $1[i] } / Double(curves.count) }
      sd = fractions.indices.map { i in EvaluationSummary.deviation(curves.map { $0[i] }) ?? 0 }
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
  /// Over images, population.
  public let insertionSD: Double?
  public let deletionSD: Double?
  public let idSD: Double?
  public let insertionCurve: Curve?
  public let deletionCurve: Curve?
  public let counts: Counts
  /// Which metrics are left out, of which images, and why.
  public let leftOut: [String]
  public let controls: [String: [String: Double]]
  public let settings: [String: String]
  public let modelSHA256: String
  public let classes: [ClassName]
  public let grid: Int
  public let side: Int

  enum CodingKeys: String, CodingKey {
    case accuracy
    case meanIoU = "mean_iou"
    case iouCurve = "iou_curve"
    case validThreshold = "valid_threshold"
    case maxBoxAcc = "max_box_acc"
    case maxBoxAccV2 = "max_box_acc_v2"
    case insertionSD = "insertion_sd"
    case deletionSD = "deletion_sd"
    case idSD = "id_sd"
    case insertionCurve = "insertion_curve"
    case deletionCurve = "deletion_curve"
    case leftOut = "left_out"
    case modelSHA256 = "model_sha256"
    case pxap, pointing, insertion, deletion, id, counts, settings, controls, classes, grid, side
  }

  /// - Parameters:
  ///   - validThreshold: the index into the curve that is best on the validation split; nil where that has no masks.
  public init(_ records: [ImageRecord], validThreshold: Int?, _ context: EvaluationContext) {
    accuracy = Self.mean(records.map { $0.isRight ? 1 : 0 }) ?? 0
    meanIoU = Self.meanIoU(records, validThreshold: validThreshold)
    iouCurve = Self.meanCurve(records)
    self.validThreshold = validThreshold.map { Double(curveThresholds[$0]) }
    let boxes = records.compactMap(\.boxCurve)
    maxBoxAcc = boxes.isEmpty ? nil : maxBoxAccuracy(boxes, delta: 0.5)
    maxBoxAccV2 = boxes.isEmpty ? nil : Self.mean([0.3, 0.5, 0.7].map { maxBoxAccuracy(boxes, delta: $0) })
    let counted = records.compactMap(\.thresholdCounts)
    pxap = counted.isEmpty ? nil : pixelAveragePrecision(counted)
    pointing = Self.mean(records.compactMap(\.isPointing).map { $0 ? 1 : 0 })
    insertion = Self.mean(records.compactMap(\.insertion))
    deletion = Self.mean(records.compactMap(\.deletion))
    if let insertion, let deletion { id = insertion - deletion } else { id = nil }
    insertionSD = Self.deviation(records.compactMap(\.insertion))
    deletionSD = Self.deviation(records.compactMap(\.deletion))
    idSD = Self.deviation(records.compactMap(\.id))
    insertionCurve = Curve(records.compactMap(\.insertionCurve), at: context.fractions)
    deletionCurve = Curve(records.compactMap(\.deletionCurve), at: context.fractions)
    counts = Counts(records)
    leftOut = Self.leftOut(
      counts, withoutBox: records.count { $0.isFinite && $0.boxCurve == nil }, hasThreshold: validThreshold != nil,
      perturbs: context.fractions != nil)
    controls = context.controls
    settings = context.settings
    modelSHA256 = context.modelSHA256
    classes = context.classes
    grid = context.grid
    side = context.side
  }

  /// What a reader must know of the numbers: what is left out, and what is counted as 0.
  public var notes: [String] {
    leftOut.map { "left out: \($0)" }
      + (counts.maskEmpty > 0
        ? ["counted as 0: the IoU of \(Self.images(counts.maskEmpty)): the mask has no foreground in the view"] : [])
  }

  private static func images(_ count: Int) -> String { count == 1 ? "1 image" : "\(count) images" }

  private static func leftOut(_ counts: Counts, withoutBox: Int, hasThreshold: Bool, perturbs: Bool) -> [String] {
    var reasons: [String] = []
    if counts.withMask == 0 {
      reasons.append("mean IoU and PxAP: no image has a mask that can be used")
    } else {
      if counts.maskAbsent > 0 { reasons.append("mean IoU and PxAP of \(images(counts.maskAbsent)): no mask") }
      if !hasThreshold { reasons.append("rule valid: no validation masks; it stands for mean_std") }
    }
    if counts.maskWrongSize > 0 {
      reasons.append("mean IoU and PxAP of \(images(counts.maskWrongSize)): the mask is of another size than its image")
    }
    if let unreadable = counts.maskUnreadable {
      reasons.append("mean IoU and PxAP of \(images(unreadable)): the mask cannot be read")
    }
    if withoutBox == counts.images {
      reasons.append("MaxBoxAcc and MaxBoxAccV2: no image has a box in its view")
    } else if withoutBox > 0 {
      reasons.append("MaxBoxAcc and MaxBoxAccV2 of \(images(withoutBox)): no box in the view")
    }
    if counts.notFinite > 0 {
      reasons.append("every metric on maps of \(images(counts.notFinite)): values that are not finite")
    }
    if !perturbs { reasons.append("insertion, deletion and ID: evaluation.steps is 0") }
    return reasons
  }

  static func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  /// Population standard deviation.
  static func deviation(_ values: [Double]) -> Double? {
    guard let mean = mean(values) else { return nil }
    return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
  }

  /// Mean IoU by rule; empty where no image has a mask. Rule `valid` falls back to `mean_std` without a threshold.
  public static func meanIoU(_ records: [ImageRecord], validThreshold: Int?) -> [String: Double] {
    guard let half = mean(records.compactMap(\.iouHalf)), let meanStd = mean(records.compactMap(\.iouMeanStd)) else {
      return [:]
    }
    let valid = validThreshold.flatMap { index in meanCurve(records).map { $0[index] } }
    return [
      IoURule.half.rawValue: half, IoURule.meanStd.rawValue: meanStd, IoURule.valid.rawValue: valid ?? meanStd,
    ]
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

  /// `per_image.csv`: one line an image, in the order given; what could not be measured is an empty cell.
  ///
  /// - Parameter subset: says of which images the run is a sample; empty for all.
  public static func csv(_ records: [ImageRecord], validThreshold: Int?, subset: String) -> String {
    var text =
      "image_id,label,predicted,probability,iou_half,iou_mean_std,iou_valid,box_iou_best,pointing,insertion,deletion,id,mask,subset\n"
    func cell(_ value: Double?) -> String { value.map { "\($0)" } ?? "" }
    for record in records {
      let valid = validThreshold.flatMap { index in record.iouCurve.map { $0[index] } } ?? record.iouMeanStd
      let cells = [
        "\(record.imageID)", "\(record.label)", record.probability.isFinite ? "\(record.predicted)" : "",
        cell(record.probability.isFinite ? record.probability : nil), cell(record.iouHalf), cell(record.iouMeanStd),
        cell(valid), cell(record.boxCurve?.max()), record.isPointing.map { $0 ? "1" : "0" } ?? "",
        cell(record.insertion), cell(record.deletion), cell(record.id), record.maskState.rawValue, subset,
      ]
      text += cells.joined(separator: ",") + "\n"
    }
    return text
  }

  public func encode(to encoder: Encoder) throws {
    var c = encoder.container(keyedBy: CodingKeys.self)
    try c.encode(accuracy, forKey: .accuracy)
    try c.encode(meanIoU, forKey: .meanIoU)
    try c.encode(iouCurve, forKey: .iouCurve)
    for (key, value) in [
      (.validThreshold, validThreshold), (.maxBoxAcc, maxBoxAcc), (.maxBoxAccV2, maxBoxAccV2), (.pxap, pxap),
      (.pointing, pointing), (.insertion, insertion), (.deletion, deletion), (.id, id), (.insertionSD, insertionSD),
      (.deletionSD, deletionSD), (.idSD, idSD),
    ] as [(CodingKeys, Double?)] {
      // Synthesised coding would leave the key out; readers look for it.
      try c.encode(value, forKey: key)
    }
    try c.encode(insertionCurve, forKey: .insertionCurve)
    try c.encode(deletionCurve, forKey: .deletionCurve)
    try c.encode(counts, forKey: .counts)
    try c.encode(leftOut, forKey: .leftOut)
    try c.encode(controls, forKey: .controls)
    try c.encode(settings, forKey: .settings)
    try c.encode(modelSHA256, forKey: .modelSHA256)
    try c.encode(classes, forKey: .classes)
    try c.encode(grid, forKey: .grid)
    try c.encode(side, forKey: .side)
  }
}

extension ImageRecord {
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
