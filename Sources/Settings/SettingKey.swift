import Foundation

/// The table of every setting: its path, what it may hold, its default and its meaning. Reading, checking, printing
/// and the reference page all come from this one table.

/// What a setting may hold.
public enum SettingKind: Equatable, Sendable {
  case integer(Range<Int>)
  case number(ClosedRange<Double>)
  case optionalNumber(ClosedRange<Double>)
  case boolean
  case text
  /// A path, whose `~` is the home folder.
  case path
  /// The same; `null` is absent.
  case optionalPath
  case optionalInteger(Range<Int>)
  /// `all`, or an integer from 1.
  case allOrInteger
  /// `all`, or a list of ids or names.
  case allOrList
  case choice([String])
  case integers(Range<Int>)
  /// The same; `null` is absent.
  case optionalIntegers(Range<Int>)
  case choices([String])
  /// Three numbers, or null.
  case optionalTriple
  /// A list of layers, or `san`.
  case fusion
  /// `all`, `tail`, or a list of layers.
  case layers
  /// `constant`, or a map {poly: power}.
  case schedule
  /// `none`, or a map {crop, resize, flip}.
  case augmentation
  /// A list of names of rows, and of maps {name, method, set}.
  case rows

  /// Whether a value may be a map, whose members `--set` and the environment can name.
  var isMap: Bool { self == .schedule || self == .augmentation }

  /// Whether a value is one text that is taken as it is, and not as YAML.
  var isText: Bool {
    switch self {
    case .text, .path, .optionalPath, .choice: true
    default: false
    }
  }

  /// What a user is told was expected.
  public var expectation: String {
    switch self {
    case .integer(let range): "a whole number\(Self.bounds(range))"
    case .number(let range): "a number from \(format(range.lowerBound)) to \(format(range.upperBound))"
    case .optionalNumber(let range):
      "a number from \(format(range.lowerBound)) to \(format(range.upperBound)), or null"
    case .boolean: "true or false"
    case .text, .path: "a text"
    case .optionalPath: "a text, or null"
    case .optionalInteger(let range): "a whole number\(Self.bounds(range)), or null"
    case .allOrInteger: "all, or a whole number from 1"
    case .allOrList: "all, or a list of class ids or names"
    case .choice(let words): words.joined(separator: " or ")
    case .integers(let range): "a list of whole numbers\(Self.bounds(range))"
    case .optionalIntegers(let range): "a list of whole numbers\(Self.bounds(range)), or null"
    case .choices(let words): "a list out of \(words.joined(separator: ", "))"
    case .optionalTriple: "a list of three numbers, or null"
    case .fusion: "a list of encoder layers from 0, or san"
    case .layers: "all, tail, or a list of encoder layers from 0"
    case .schedule: "constant, or a map such as {poly: 0.9}"
    case .augmentation: "none, or a map such as {crop: random, resize: 256, flip: 0.5}"
    case .rows:
      "a list out of \(RowSetting.known.joined(separator: ", ")), and of maps such as {name: wide, set: {side.width: 480}}"
    }
  }

  private static func bounds(_ range: Range<Int>) -> String {
    range.upperBound == Int.max ? " from \(range.lowerBound)" : " from \(range.lowerBound) to \(range.upperBound - 1)"
  }
}

/// A setting's value after its kind has been checked.
public enum SettingValue: Equatable, Sendable {
  case integer(Int)
  case number(Double)
  case boolean(Bool)
  case text(String)
  case integers([Int])
  case numbers([Double])
  case texts([String])
  /// {poly: power}.
  case poly(Double)
  /// {crop: random, resize, flip}; resize 0 stands for round(S·256/224).
  case crop(resize: Int, flip: Double)
  case rows([RowSetting])
  case null

  /// As canonical YAML.
  public var yaml: String {
    switch self {
    case .integer(let value): String(value)
    case .number(let value): format(value)
    case .boolean(let value): String(value)
    case .text(let value): quoted(value)
    case .integers(let values): "[" + values.map(String.init).joined(separator: ", ") + "]"
    case .numbers(let values): "[" + values.map(format).joined(separator: ", ") + "]"
    case .texts(let values): "[" + values.map(quoted).joined(separator: ", ") + "]"
    case .poly(let power): "{poly: \(format(power))}"
    case .crop(let resize, let flip): "{crop: random, resize: \(resize), flip: \(format(flip))}"
    case .rows(let rows): "[" + rows.map(\.yaml).joined(separator: ", ") + "]"
    case .null: "null"
    }
  }
}

/// The shortest decimal that reads back as the same number.
func format(_ value: Double) -> String { "\(value)" }

private func isEscaped(_ scalar: Unicode.Scalar) -> Bool {
  [.control, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
    || scalar == "\u{FEFF}"
}

func quoted(_ text: String) -> String {
  let isPlain =
    !text.isEmpty && text.allSatisfy { $0.isLetter || $0.isNumber || "_-./".contains($0) }
    && text.first?.isLetter == true && !["null", "true", "false", "yes", "no", "on", "off"].contains(text.lowercased())
  if isPlain { return text }
  // YAML folds line breaks between simple quotes, and lets other control characters stand between double ones alone.
  if text.unicodeScalars.contains(where: isEscaped) {
    let escaped = text.unicodeScalars.map { scalar in
      isEscaped(scalar)
        ? String(format: "\\u%04x", scalar.value) : "\"\\".unicodeScalars.contains(scalar) ? "\\\(scalar)" : "\(scalar)"
    }
    return "\"\(escaped.joined())\""
  }
  return "'" + text.replacingOccurrences(of: "'", with: "''") + "'"
}

/// One setting.
public struct SettingKey: Sendable {
  public let path: String
  public let kind: SettingKind
  public let standard: SettingValue
  public let meaning: String
  /// Whether a resumed run may differ in it (docs/settings.md). Paths whose contents have digests are compared by
  /// these.
  public let mayDiffer: Bool

  init(_ path: String, _ kind: SettingKind, _ standard: SettingValue, _ meaning: String, mayDiffer: Bool = false) {
    self.path = path
    self.kind = kind
    self.standard = standard
    self.meaning = meaning
    self.mayDiffer = mayDiffer
  }
}
