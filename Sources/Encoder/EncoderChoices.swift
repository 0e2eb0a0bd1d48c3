import Failures
import Layers

/// What no tensor says of an encoder: heads, activation and the norms' eps, each by the setting, else by a
/// configuration beside the file that fits, else by what is published.
struct EncoderChoices {
  let heads: Int
  let activation: Activation
  let normEpsilon: Float
  /// Activation and heads, and the norms' eps where it is not the spelling's.
  let json: String
  /// What was taken from where, and what was passed over.
  let notes: [String]

  /// Heads of the image encoders that OpenAI, open_clip and timm publish in these spellings, by width; where those of a
  /// width differ, there is none.
  private static let publishedHeads = [
    256: 4, 384: 6, 512: 8, 640: 10, 768: 12, 896: 14, 1024: 16, 1280: 16, 1408: 16, 1664: 16, 1792: 16,
  ]

  /// - Throws: `Failure` 78 for settings that do not fit, or that are needed because nothing else tells; 65 for a
  ///   configuration that contradicts itself or describes what this encoder cannot compute.
  init(_ options: EncoderOptions, _ shape: EncoderShape) throws {
    let besides = try Self.descriptions(options, shape)
    for case let (name, architecture?) in besides.fitting.map({ ($0.name, $0.architecture) })
    where Self.rotary.contains(where: architecture.contains) {
      throw Failure.badData(
        "\(name) beside \(options.weights) says that they are timm's \(architecture), which has rotary positions; this "
          + "encoder cannot compute them")
    }
    let heads = try Self.heads(options, shape, besides.fitting)
    let activation = try Self.activation(options, shape.tower.spelling, besides.fitting)
    let usual: Float = shape.hasNormBefore ? 1e-5 : 1e-6
    let said = try Self.agreed(besides.fitting, "norms' eps", setting: nil) { $0.normEpsilon }
    normEpsilon = said.map { Float($0.value) } ?? usual
    (self.heads, self.activation) = (heads.value, activation.value)
    var notes = [
      "heads \(heads.value) (\(heads.source)), activation \(activation.value.rawValue) (\(activation.source))"
    ]
    var json = "{\"activation\":\"\(activation.value.rawValue)\",\"heads\":\(heads.value)"
    if let said, normEpsilon != usual {
      notes.append("norms' eps \(said.value) (\(said.source))")
      json += ",\"norm_eps\":\(normEpsilon)"
    }
    self.json = json + "}"
    for description in besides.fitting {
      if let blocks = description.blocks, blocks != shape.tower.blockCount {
        notes.append("\(description.name) describes \(blocks) blocks, the file has \(shape.tower.blockCount)")
      }
    }
    self.notes = notes + besides.notes
  }

  /// In timm's names of models whose positions rotate queries and keys.
  private static let rotary = ["vit_pe_", "rope"]

  private typealias Choice<Value> = (value: Value, source: String)

  private static func descriptions(
    _ options: EncoderOptions, _ shape: EncoderShape
  ) throws -> (fitting: [EncoderDescription], notes: [String]) {
    var (found, notes): ([EncoderDescription], [String])
    do {
      (found, notes) = try EncoderDescription.beside(options.weights)
    } catch let failure as Failure where options.heads != nil && options.activation != nil {
      return ([], ["\(failure.message) (passed over, for both are set)"])
    }
    found = found.filter { description in
      guard let mismatch = description.mismatch(shape) else { return true }
      notes.append("\(description.name) passed over: \(mismatch)")
      return false
    }
    return (found, notes)
  }

  private static func heads(
    _ options: EncoderOptions, _ shape: EncoderShape, _ descriptions: [EncoderDescription]
  ) throws -> Choice<Int> {
    let D = shape.width
    if let given = options.heads {
      guard given > 0, D % given == 0 else {
        throw Failure.badConfiguration("encoder.heads is \(given), which does not divide the encoder's width of \(D)")
      }
      return (given, "encoder.heads")
    }
    if let said = try agreed(descriptions, "heads", setting: "encoder.heads", { $0.heads }) {
      guard D % said.value == 0 else {
        throw Failure.badData(
          "\(said.source) beside \(options.weights) says \(said.value) heads, which do not divide the encoder's width "
            + "of \(D): mend it, or set encoder.heads")
      }
      return said
    }
    if let published = publishedHeads[D] { return (published, "of the published encoders of width \(D)") }
    if D < 256, D % 64 == 0 { return (D / 64, "width / 64") }
    throw Failure.badConfiguration(
      "nothing says how many heads an encoder of width \(D) has: set encoder.heads, or put the model's config.json "
        + "beside \(options.weights)")
  }

  private static func activation(
    _ options: EncoderOptions, _ spelling: Spelling, _ descriptions: [EncoderDescription]
  ) throws -> Choice<Activation> {
    if let given = options.activation { return (given, "encoder.activation") }
    guard let said = try agreed(descriptions, "activation", setting: "encoder.activation", { $0.activation }) else {
      return spelling == .timm
        ? (.gelu, "timm's; QuickGELU models need encoder.activation: quickgelu")
        : (.quickgelu, "OpenAI's; most other weights, LAION's among them, need encoder.activation: gelu")
    }
    switch said.value {
    case "quick_gelu", "quickgelu": return (.quickgelu, said.source)
    case "gelu", "gelu_erf", "gelu_python": return (.gelu, said.source)
    default:
      throw Failure.badData(
        "\(said.source) beside \(options.weights) says that the activation is \(said.value), which this encoder cannot "
          + "compute; it knows quickgelu and gelu (encoder.activation takes one of them all the same)")
    }
  }

  /// What all descriptions that say something of it say.
  ///
  /// - Throws: `Failure` 78 where two contradict each other.
  private static func agreed<Value: Equatable>(
    _ descriptions: [EncoderDescription], _ what: String, setting: String?, _ value: (EncoderDescription) -> Value?
  ) throws -> Choice<Value>? {
    let said = descriptions.compactMap { description in value(description).map { (value: $0, source: description.name) }
    }
    guard let first = said.first else { return nil }
    if let other = said.first(where: { $0.value != first.value }) {
      throw Failure.badConfiguration(
        "\(first.source) and \(other.source) beside the encoder's weights contradict each other: \(what) \(first.value) "
          + "and \(other.value): " + (setting.map { "set \($0)" } ?? "take the wrong one away"))
    }
    return first
  }
}
