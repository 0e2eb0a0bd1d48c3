import Foundation

/// The settings as a JSON schema (draft 7), by which editors check and complete settings files as they are written.
extension SettingTable {
  /// The schema's text; `docs/settings.schema.json` is this text. What it accepts the program reads, but for what several settings must agree on; what it refuses
  /// the program refuses, or reads otherwise than YAML would.
  public static var schema: String {
    var sections: [(name: String, keys: [SettingKey])] = []
    for key in keys {
      let section = String(key.path.prefix { $0 != "." })
      if sections.last?.name != section { sections.append((section, [])) }
      sections[sections.count - 1].keys.append(key)
    }
    var properties: [String: Schema] = [
      "extends": [
        "type": "string",
        "description": "A settings file, relative to this one, whose settings stand below this one's.",
      ]
    ]
    for (name, keys) in sections {
      let own = keys.map { (String($0.path.dropFirst(name.count + 1)), $0.schema) }
      properties[name] = [
        "type": ["object", "null"], "additionalProperties": false,
        "properties": .object(Dictionary(uniqueKeysWithValues: own)),
      ]
    }
    let root: Schema = [
      "$schema": "http://json-schema.org/draft-07/schema#", "title": "Settings of ala", "type": "object",
      "additionalProperties": false, "properties": .object(properties),
    ]
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(root) else {
      preconditionFailure("the table of settings holds a number that JSON cannot write")
    }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}

/// A value of JSON.
indirect enum Schema: Encodable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
  ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
  case null
  case text(String)
  case boolean(Bool)
  case integer(Int)
  case number(Double)
  case array([Schema])
  case object([String: Schema])

  init(stringLiteral value: String) { self = .text(value) }
  init(booleanLiteral value: Bool) { self = .boolean(value) }
  init(integerLiteral value: Int) { self = .integer(value) }
  init(floatLiteral value: Double) { self = .number(value) }
  init(arrayLiteral elements: Schema...) { self = .array(elements) }
  init(dictionaryLiteral elements: (String, Schema)...) { self = .object(Dictionary(uniqueKeysWithValues: elements)) }

  func encode(to encoder: Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .text(let value): try container.encode(value)
    case .boolean(let value): try container.encode(value)
    case .integer(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .array(let values): try container.encode(values)
    case .object(let values): try container.encode(values)
    }
  }
}

extension SettingKey {
  /// What the setting may hold, with its meaning and default.
  fileprivate var schema: Schema {
    guard case .object(var members) = kind.schema else { return kind.schema }
    members["description"] = .text("\(meaning) (\(kind.expectation))")
    members["default"] = standard.schema
    return .object(members)
  }
}

extension SettingValue {
  fileprivate var schema: Schema {
    switch self {
    case .integer(let value): .integer(value)
    case .number(let value): .number(value)
    case .boolean(let value): .boolean(value)
    case .text(let value): .text(value)
    case .integers(let values): .array(values.map(Schema.integer))
    case .numbers(let values): .array(values.map(Schema.number))
    case .texts(let values): .array(values.map(Schema.text))
    case .poly(let power): ["poly": .number(power)]
    // Resize 0 stands for a default that depends on image.size.
    case .crop(_, let flip): ["crop": "random", "flip": .number(flip)]
    case .rows(let rows): .array(rows.map { .text($0.name) })
    case .null: .null
    }
  }
}

extension SettingKind {
  fileprivate var schema: Schema {
    switch self {
    case .integer(let range): Self.integer(range)
    case .number(let range): Self.number(range)
    case .optionalNumber(let range): Self.either(["type": "null"], Self.number(range))
    case .boolean: ["type": "boolean"]
    case .text, .path: ["type": "string"]
    case .optionalPath: ["type": ["string", "null"]]
    case .optionalInteger(let range): Self.either(["type": "null"], Self.integer(range))
    case .allOrInteger: Self.either(["const": "all"], Self.integer(1..<Int.max))
    case .allOrList:
      Self.either(["const": "all"], ["type": "array", "minItems": 1, "items": ["type": ["string", "integer"]]])
    case .choice(let words): ["enum": .array(words.map(Schema.text))]
    case .integers(let range): Self.list(Self.integer(range))
    case .optionalIntegers(let range): Self.either(["type": "null"], Self.list(Self.integer(range)))
    case .choices(let words):
      ["type": "array", "uniqueItems": true, "items": ["enum": .array(words.map(Schema.text))]]
    case .optionalTriple:
      Self.either(
        ["type": "null"], ["type": "array", "minItems": 3, "maxItems": 3, "items": ["type": "number"]])
    case .fusion: Self.either(["const": "san"], Self.list(Self.integer(0..<Int.max)))
    case .layers: Self.either(["enum": ["all", "tail"]], Self.list(Self.integer(0..<Int.max)))
    case .schedule:
      Self.either(["const": "constant"], Self.map(["poly": Self.number(0...100)], required: ["poly"]))
    case .augmentation:
      Self.either(
        ["const": "none"],
        Self.map(["crop": ["const": "random"], "resize": Self.integer(0..<8193), "flip": Self.number(0...1)]))
    case .rows:
      Self.list(
        Self.either(
          ["enum": .array(RowSetting.known.map(Schema.text))],
          Self.map(
            ["name": ["type": "string"], "method": ["type": "string"], "set": ["type": "object"]], required: ["name"])))
    }
  }

  private static func integer(_ range: Range<Int>) -> Schema {
    range.upperBound == Int.max
      ? ["type": "integer", "minimum": .integer(range.lowerBound)]
      : ["type": "integer", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound - 1)]
  }

  private static func number(_ range: ClosedRange<Double>) -> Schema {
    ["type": "number", "minimum": .number(range.lowerBound), "maximum": .number(range.upperBound)]
  }

  private static func list(_ items: Schema) -> Schema { ["type": "array", "items": items] }

  private static func either(_ one: Schema, _ other: Schema) -> Schema { ["anyOf": [one, other]] }

  private static func map(_ properties: [String: Schema], required: [Schema] = []) -> Schema {
    [
      "type": "object", "additionalProperties": false, "properties": .object(properties), "required": .array(required),
    ]
  }
}
