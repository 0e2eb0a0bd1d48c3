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
  public var cascade: CascadeSummary?
  /// Places of the curves' points in [0, 1]; nil where insertion and deletion are not measured.
  public var fractions: [Double]?

  public init() {}
}

/// A data set's figures, from its images' records (docs/formats.md, "Evaluation": `summary.json`). What could not be
/// measured is null.
public struct EvaluationSummary: Equatable, Sendable {
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

    /// - Throws: `DecodingError` where the lists are not of one length.
    public init(from decoder: any Decoder) throws {
      let container = try decoder.container(keyedBy: CodingKeys.self)
      fraction = try container.decode([Double].self, forKey: .fraction)
      mean = try container.decode([Double].self, forKey: .mean)
      sd = try container.decode([Double].self, forKey: .sd)
      for (key, values) in [(CodingKeys.mean, mean), (.sd, sd)] where values.count != fraction.count {
        throw DecodingError.dataCorruptedError(
          forKey: key, in: container,
          debugDescription: "has \(values.count) values, where fraction has \(fraction.count)")
      }
    }

    init?(_ curves: [[Double]], at fractions: [Double]?) {
      guard let fractions, !curves.isEmpty else { return nil }
      fraction = fractions
      mean = fractions.indices.map { i in curves.reduce(0) { $0 + $1[i] } / Double(curves.count) }
      sd = fractions.indices.map { i in populationDeviation(curves.map { $0[i] }) ?? 0 }
    }
  }

  /// By the keys of `FigureTable`; without what could not be measured.
  public let figures: [String: Double]
  /// The spreads over images of those that have one, by the figure's key.
  public let spreads: [String: Double]
  /// Mean IoU at each threshold 0, 0.01, …, 0.99 of the normalised map.
  public let iouCurve: [Double]?
  public let insertionCurve: Curve?
  public let deletionCurve: Curve?
  public let counts: Counts
  /// Which metrics are left out, of which images, and why.
  public let leftOut: [String]
  public let controls: [String: [String: Double]]
  /// nil where none was asked for.
  public let cascade: CascadeSummary?
  public let settings: [String: String]
  public let modelSHA256: String
  public let classes: [ClassName]
  public let grid: Int
  public let side: Int

  public subscript(key: String) -> Double? { figures[key] }

  /// - Parameter validThreshold: the index into the curve that is best on the validation split; nil where that has no
  ///   masks.
  public init(_ records: [ImageRecord], validThreshold: Int?, _ context: EvaluationContext) {
    let scope = Figure.Scope(validThreshold: validThreshold)
    figures = Self.values { $0.overImages(records, scope) }
    spreads = Self.values { $0.spread(records, scope) }
    iouCurve = Self.meanCurve(records)
    insertionCurve = Curve(records.compactMap(\.insertionCurve), at: context.fractions)
    deletionCurve = Curve(records.compactMap(\.deletionCurve), at: context.fractions)
    counts = Counts(records)
    leftOut = Self.leftOut(
      counts, withoutBox: records.count { $0.isFinite && $0.boxCurve == nil }, hasThreshold: validThreshold != nil,
      perturbs: context.fractions != nil)
    controls = context.controls
    cascade = context.cascade
    settings = context.settings
    modelSHA256 = context.modelSHA256
    classes = context.classes
    grid = context.grid
    side = context.side
  }

  init(
    figures: [String: Double], spreads: [String: Double], iouCurve: [Double]?, insertionCurve: Curve?,
    deletionCurve: Curve?, counts: Counts, leftOut: [String], controls: [String: [String: Double]],
    cascade: CascadeSummary?,
    settings: [String: String], modelSHA256: String, classes: [ClassName], grid: Int, side: Int
  ) {
    self.figures = figures
    self.spreads = spreads
    self.iouCurve = iouCurve
    self.insertionCurve = insertionCurve
    self.deletionCurve = deletionCurve
    self.counts = counts
    self.leftOut = leftOut
    self.controls = controls
    self.cascade = cascade
    self.settings = settings
    self.modelSHA256 = modelSHA256
    self.classes = classes
    self.grid = grid
    self.side = side
  }

  private static func values(_ value: (Figure) -> Double?) -> [String: Double] {
    Dictionary(
      uniqueKeysWithValues: FigureTable.figures.compactMap { figure in value(figure).map { (figure.key, $0) } })
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
      if !hasThreshold { reasons.append("rule valid: no validation map to choose by; mean_std stands for it") }
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
    let shown = FigureTable.shown(records).filter { $0.column != nil }
    let columns = shown.compactMap(\.column)
    let scope = Figure.Scope(validThreshold: validThreshold)
    var lines = [
      (["image_id", "label", "predicted", "probability"] + columns + ["mask", "subset"]).joined(separator: ",")
    ]
    for record in records {
      let isPredicted = record.probability.isFinite
      let cells = [
        "\(record.imageID)", "\(record.label)", isPredicted ? "\(record.predicted)" : "",
        isPredicted ? "\(record.probability)" : "",
      ]
      let figures = shown.map { $0.cell(record, scope) }
      lines.append((cells + figures + [record.maskState.rawValue, subset]).joined(separator: ","))
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
