/// `summary.json`: each figure under its key in `FigureTable`, with null for what could not be measured (readers look
/// for the key); members of an object, such as `mean_iou`, only where they could.
extension EvaluationSummary: Codable {
  /// A key that comes from the table.
  private struct Key: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }

    static func spread(_ figure: Figure) -> Key { Key(stringValue: "\(figure.key)_sd") }

    static let iouCurve = Key(stringValue: "iou_curve")
    static let insertionCurve = Key(stringValue: "insertion_curve")
    static let deletionCurve = Key(stringValue: "deletion_curve")
    static let counts = Key(stringValue: "counts")
    static let leftOut = Key(stringValue: "left_out")
    static let controls = Key(stringValue: "controls")
    static let cascade = Key(stringValue: "cascade")
    static let settings = Key(stringValue: "settings")
    static let modelSHA256 = Key(stringValue: "model_sha256")
    static let classes = Key(stringValue: "classes")
    static let grid = Key(stringValue: "grid")
    static let side = Key(stringValue: "side")
  }

  /// The object and the member that a figure's key names; nil where it stands alone.
  private static func member(_ figure: Figure) -> (object: Key, member: Key)? {
    guard let dot = figure.key.firstIndex(of: ".") else { return nil }
    return (
      Key(stringValue: String(figure.key[..<dot])),
      Key(stringValue: String(figure.key[figure.key.index(after: dot)...]))
    )
  }

  public func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: Key.self)
    for figure in FigureTable.figures {
      let value = figures[figure.key]
      if figure.need == .method && value == nil { continue }
      if let (object, member) = Self.member(figure) {
        var nested = container.nestedContainer(keyedBy: Key.self, forKey: object)
        try nested.encodeIfPresent(value, forKey: member)
      } else {
        try container.encode(value, forKey: Key(stringValue: figure.key))
      }
      if figure.hasSpread { try container.encode(spreads[figure.key], forKey: .spread(figure)) }
    }
    try container.encode(iouCurve, forKey: .iouCurve)
    try container.encode(insertionCurve, forKey: .insertionCurve)
    try container.encode(deletionCurve, forKey: .deletionCurve)
    try container.encode(counts, forKey: .counts)
    try container.encode(leftOut, forKey: .leftOut)
    try container.encode(controls, forKey: .controls)
    try container.encodeIfPresent(cascade, forKey: .cascade)
    try container.encode(settings, forKey: .settings)
    try container.encode(modelSHA256, forKey: .modelSHA256)
    try container.encode(classes, forKey: .classes)
    try container.encode(grid, forKey: .grid)
    try container.encode(side, forKey: .side)
  }

  public init(from decoder: any Decoder) throws {
    let container = try decoder.container(keyedBy: Key.self)
    var (figures, spreads) = ([String: Double](), [String: Double]())
    for figure in FigureTable.figures {
      // A summary of an earlier version lacks the figures that it did not know.
      if let (object, member) = Self.member(figure) {
        guard container.contains(object) else { continue }
        let nested = try container.nestedContainer(keyedBy: Key.self, forKey: object)
        figures[figure.key] = try nested.decodeIfPresent(Double.self, forKey: member)
      } else {
        figures[figure.key] = try container.decodeIfPresent(Double.self, forKey: Key(stringValue: figure.key))
      }
      if figure.hasSpread { spreads[figure.key] = try container.decodeIfPresent(Double.self, forKey: .spread(figure)) }
    }
    self.init(
      figures: figures, spreads: spreads, iouCurve: try container.decodeIfPresent([Double].self, forKey: .iouCurve),
      insertionCurve: try container.decodeIfPresent(Curve.self, forKey: .insertionCurve),
      deletionCurve: try container.decodeIfPresent(Curve.self, forKey: .deletionCurve),
      counts: try container.decode(Counts.self, forKey: .counts),
      leftOut: try container.decode([String].self, forKey: .leftOut),
      controls: try container.decode([String: [String: Double]].self, forKey: .controls),
      cascade: try container.decodeIfPresent(CascadeSummary.self, forKey: .cascade),
      settings: try container.decode([String: String].self, forKey: .settings),
      modelSHA256: try container.decode(String.self, forKey: .modelSHA256),
      classes: try container.decode([ClassName].self, forKey: .classes),
      grid: try container.decode(Int.self, forKey: .grid), side: try container.decode(Int.self, forKey: .side))
  }
}
