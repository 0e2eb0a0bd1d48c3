/// One figure of an evaluation: what it is called, which way is better, and how it is made of the images' records.
public struct Figure: Sendable {
  public enum Direction: String, Sendable {
    case higher
    case lower
    /// A figure that tells nothing of quality, such as a threshold.
    case neither
  }

  public enum Need: String, Sendable {
    case nothing
    case masks
    case boxes
    case masksOrBoxes = "masks or boxes"
    case validationMasks = "validation masks"
    case perturbation = "evaluation.steps"
    /// A method that tells it; the figure is left out of every output where no image has it.
    case method = "a method that tells it"
  }

  public enum Style: Sendable {
    /// A share in [0, 1], or a difference of two.
    case share
    case percent
    /// 1 or 0 for an image.
    case flag
  }

  /// Beside the records, what a figure may depend on.
  public struct Scope: Sendable {
    /// The index into the thresholds of the IoU curve that is best on the validation split; nil where it has no masks.
    public var validThreshold: Int?

    public init(validThreshold: Int? = nil) { self.validThreshold = validThreshold }
  }

  public typealias PerImage = @Sendable (ImageRecord, Scope) -> Double?
  public typealias OverImages = @Sendable ([ImageRecord], Scope) -> Double?

  /// Its key in `summary.json`; what stands before a dot is an object there, as in `mean_iou.half`.
  public let key: String
  public let title: String
  public let direction: Direction
  public let need: Need
  public let style: Style
  /// Its column of `per_image.csv`.
  public let column: String?
  /// Whether the population standard deviation over images stands beside it, as `KEY_sd`.
  public let hasSpread: Bool
  /// Whether it is the mean over images of their own values.
  public let isMeanOfImages: Bool
  public let meaning: String
  let perImage: PerImage?
  let overImages: OverImages

  /// A figure of its own formula over the set.
  init(
    _ key: String, _ title: String, _ direction: Direction, needs need: Need, style: Style = .share,
    column: String? = nil, hasSpread: Bool = false, isMeanOfImages: Bool = false, _ meaning: String,
    perImage: PerImage? = nil, overImages: @escaping OverImages
  ) {
    self.key = key
    self.title = title
    self.direction = direction
    self.need = need
    self.style = style
    self.column = column
    self.hasSpread = hasSpread
    self.isMeanOfImages = isMeanOfImages
    self.meaning = meaning
    self.perImage = perImage
    self.overImages = overImages
  }

  /// A figure that methods tell of their own work.
  init(toldAs key: String, _ title: String, _ direction: Direction, _ meaning: String) {
    self.init(
      meanOf: { record, _ in record.notes?[key] }, key, title, direction, needs: .method, column: key, meaning)
  }

  /// A figure that is the mean of the images' own.
  init(
    meanOf perImage: @escaping PerImage, _ key: String, _ title: String, _ direction: Direction, needs need: Need,
    style: Style = .share, column: String? = nil, hasSpread: Bool = false, _ meaning: String
  ) {
    self.init(
      key, title, direction, needs: need, style: style, column: column, hasSpread: hasSpread, isMeanOfImages: true,
      meaning, perImage: perImage
    ) { records, scope in
      mean(records.compactMap { perImage($0, scope) })
    }
  }

  /// The title with an arrow to where better is.
  public var titleWithArrow: String {
    switch direction {
    case .higher: "\(title) \u{2191}"
    case .lower: "\(title) \u{2193}"
    case .neither: title
    }
  }

  /// An image's cell of `per_image.csv`; empty where it could not be measured.
  func cell(_ record: ImageRecord, _ scope: Scope) -> String {
    guard let value = perImage?(record, scope) else { return "" }
    return style == .flag ? (value > 0 ? "1" : "0") : "\(value)"
  }

  /// The spread over images.
  func spread(_ records: [ImageRecord], _ scope: Scope) -> Double? {
    guard hasSpread, let perImage else { return nil }
    return populationDeviation(records.compactMap { perImage($0, scope) })
  }
}

/// nil of no value.
func mean(_ values: [Double]) -> Double? {
  values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
}

func populationDeviation(_ values: [Double]) -> Double? {
  guard let mean = mean(values) else { return nil }
  return (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count)).squareRoot()
}
