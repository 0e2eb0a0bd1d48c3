import Failures
import Files
import Foundation
import Yams

/// From YAML, flags and the environment to checked values. Scalars are read by the key's type, never by YAML's
/// guess: `010` is no 8, and `on` is no boolean.
struct SettingReader {
  /// Values as they were given, by path, with where they came from.
  private var given: [String: Given] = [:]
  /// Values in whose place others have come, by path.
  private var replaced: [(path: String, given: Given)] = []

  private struct Given {
    let node: Node
    /// For messages.
    let place: String
    let origin: SettingOrigin
  }

  private static let mostBytes = 1 << 20
  private static let deepest = 16

  /// Adds a file and, first, the files that it extends.
  mutating func add(file path: String, chain: [String] = []) throws {
    let full = URL(fileURLWithPath: path).standardizedFileURL.path
    guard !chain.contains(full) else {
      throw Failure.badConfiguration("\(path): extends itself, by way of \((chain + [full]).joined(separator: " -> "))")
    }
    let isPipe = isPipe(path)
    let mapping = try Self.sections(try Self.text(of: path, isPipe: isPipe), place: path)
    for (key, value) in mapping where key.string == "extends" {
      guard case .scalar(let scalar) = value else {
        throw Failure.badConfiguration("\(path): extends: expected the name of one file")
      }
      // A pipe lies nowhere.
      let base = URL(
        fileURLWithPath: expandingHome(scalar.string),
        relativeTo: isPipe ? nil : URL(fileURLWithPath: full).deletingLastPathComponent())
      try add(file: base.path, chain: chain + [full])
    }
    try add(mapping, place: path) { chain.isEmpty ? .file($0) : .extended($0) }
  }

  /// What a file holds, or a pipe gives, as that of a shell's `<(…)`.
  private static func text(of path: String, isPipe: Bool) throws -> String {
    guard FileManager.default.fileExists(atPath: path) else {
      let isOfShell = ["/dev/fd/", "/proc/self/fd/"].contains { path.hasPrefix($0) }
      throw Failure.missingInput(
        "\(path): there is no such settings file"
          + (isOfShell ? " here: mpirun hands no pipe on to its ranks; write the settings into a file" : ""))
    }
    let bytes: [UInt8]
    do {
      bytes = try readStream(path, most: mostBytes)
    } catch let failure as Failure where failure.code == .badData {
      throw Failure.badConfiguration("\(failure.message); expected settings, a UTF-8 text of at most 1 MiB")
    }
    // UTF-16 of plain words is UTF-8 with zeros between.
    guard let text = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
      throw Failure.badConfiguration("\(path): is not UTF-8; expected settings, a text of at most 1 MiB")
    }
    guard !isPipe || !text.allSatisfy(\.isWhitespace) else {
      throw Failure.badConfiguration(
        "\(path): is a pipe that gave nothing; has the command that writes into it failed?")
    }
    return text
  }

  /// Adds a text that extends nothing, such as a checkpoint's.
  mutating func add(text: String, place: String) throws {
    try add(try Self.sections(text, place: place), place: place) { _ in .stored }
  }

  private static func sections(_ text: String, place: String) throws -> Node.Mapping {
    guard let root = try compose(text, place: place) else { return Node.Mapping([]) }
    guard case .mapping(let mapping) = root else {
      throw Failure.badConfiguration("\(place): expected a map of sections such as training: {lr: 5.0e-5}")
    }
    return mapping
  }

  private mutating func add(_ mapping: Node.Mapping, place: String, _ origin: (String) -> SettingOrigin) throws {
    for (key, value) in mapping where key.string != "extends" {
      guard let section = key.string else {
        throw Failure.badConfiguration("\(place): a key is not a plain text")
      }
      try add(value, path: section, place: place, depth: 1, origin)
    }
  }

  /// The most characters of what a parser quotes, which may be a whole line.
  private static let mostQuoted = 300

  private static func compose(_ text: String, place: String) throws -> Node? {
    do {
      // Editors of Windows begin a text with a byte-order mark.
      let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
      return try Yams.compose(yaml: text).map { try Merging.resolve($0, place: place) }
    } catch let failure as Failure {
      throw failure
    } catch {
      let what = "\(error)".split(separator: "\n").joined(separator: " ")
      let told = what.count > mostQuoted ? "\(what.prefix(mostQuoted))…" : what
      throw Failure.badConfiguration("\(place): is not sound YAML: \(told)")
    }
  }

  /// - Parameter origin: of a place.
  private mutating func add(
    _ node: Node, path: String, place: String, depth: Int, _ origin: (String) -> SettingOrigin
  ) throws {
    let line = node.mark.map { "\(place):\($0.line)" } ?? place
    if SettingTable.key(path) != nil {
      merge(node, path: path, place: line, origin(line))
      return
    }
    guard SettingTable.hasSection(path), depth < Self.deepest else { throw Self.unknown(path, place: line) }
    switch node {
    case .mapping(let mapping):
      for (key, value) in mapping {
        guard let name = key.string else { throw Failure.badConfiguration("\(line): a key is not a plain text") }
        try add(value, path: "\(path).\(name)", place: place, depth: depth + 1, origin)
      }
    case .scalar(let scalar) where scalar.string.isEmpty || scalar.string == "null": break
    default: throw Failure.badConfiguration("\(line): \(path): expected a map of settings")
    }
  }

  /// Maps merge; lists and scalars replace.
  private mutating func merge(_ node: Node, path: String, place: String, _ origin: SettingOrigin) {
    if case .mapping(let new) = node, case .mapping(var old)? = given[path]?.node {
      for (key, value) in new { old[key] = value }
      given[path] = Given(node: .mapping(old), place: place, origin: origin)
    } else {
      replace(path, by: Given(node: node, place: place, origin: origin))
    }
  }

  private mutating func replace(_ path: String, by new: Given) {
    // A checkpoint's may be of another version, which is why it has been replaced.
    if let old = given[path], old.origin != .stored { replaced.append((path, old)) }
    given[path] = new
  }

  /// Whether a path names a setting, or a member of one that is a map.
  static func knows(_ path: String) -> Bool {
    if SettingTable.key(path) != nil { return true }
    guard let dot = path.lastIndex(of: "."), dot != path.index(before: path.endIndex) else { return false }
    return SettingTable.key(String(path[..<dot]))?.kind.isMap == true
  }

  /// Adds one value that is written as YAML: a flag, `--set`, or a variable.
  ///
  /// - Parameters:
  ///   - origin: by default the place is a flag.
  ///   - isLiteral: whether quotes around a text are part of it.
  mutating func add(
    path: String, yaml: String, place: String, origin: SettingOrigin? = nil, isLiteral: Bool = false
  ) throws {
    let origin = origin ?? .flag(place)
    guard let key = SettingTable.key(path) else {
      // A member of a setting that is a map: image.augment.resize, training.schedule.poly.
      guard let dot = path.lastIndex(of: "."), let whole = SettingTable.key(String(path[..<dot])), whole.kind.isMap,
        let node = try Self.compose(yaml, place: "\(place): \(path)")
      else { throw Self.unknown(path, place: place) }
      let member = Node(String(path[path.index(after: dot)...]))
      merge(.mapping(Node.Mapping([(member, node)])), path: whole.path, place: place, origin)
      return
    }
    switch key.kind {
    case let kind where kind.isText:
      let node = try isLiteral ? Node(yaml) : Self.unquoted(yaml, place: "\(place): \(path)")
      replace(path, by: Given(node: node, place: place, origin: origin))
    default:
      guard let node = try Self.compose(yaml, place: "\(place): \(path)") else {
        throw Failure.badConfiguration("\(place): \(path) has no value; expected \(key.kind.expectation)")
      }
      merge(node, path: path, place: place, origin)
    }
  }

  /// A text in YAML's quotes, or as it stands: a path may hold much that means something else to YAML.
  private static func unquoted(_ text: String, place: String) throws -> Node {
    guard let first = text.first(where: { !$0.isWhitespace }), "\"'".contains(first) else { return Node(text) }
    guard case .scalar(let scalar)? = try compose(text, place: place) else {
      throw Failure.badConfiguration("\(place) begins with a quote; expected one text between quotes, or none")
    }
    return .scalar(scalar)
  }

  static func unknown(_ path: String, place: String) -> Failure {
    Failure.badConfiguration(
      "\(place): there is no setting \(path)"
        + (SettingTable.nearest(to: path).map { "; the nearest is \($0)" } ?? SettingTable.listing))
  }

  /// Every setting's value: what was given, or its default. What others have replaced is checked as well: who has
  /// mistyped it may miss it one day.
  func values() throws -> [String: SettingValue] {
    var result: [String: SettingValue] = [:]
    for (path, old) in replaced {
      if let key = SettingTable.key(path) { _ = try Self.value(old.node, of: key, place: old.place) }
    }
    for key in SettingTable.keys {
      guard let own = given[key.path] else {
        result[key.path] = key.standard
        continue
      }
      result[key.path] = try Self.value(own.node, of: key, place: own.place)
    }
    return result
  }

  /// Where every setting's value comes from.
  var origins: [String: SettingOrigin] {
    Dictionary(uniqueKeysWithValues: SettingTable.keys.map { ($0.path, given[$0.path]?.origin ?? .standard) })
  }

  /// A setting's value, checked.
  ///
  /// - Throws: `Failure` 78 saying what was found, and what was expected.
  static func value(_ node: Node, of key: SettingKey, place: String) throws -> SettingValue {
    if key.kind == .rows { return .rows(try RowReading.read(node, place: place)) }
    guard let value = read(node, as: key.kind) else {
      throw Failure.badConfiguration("\(place): \(key.path) is \(describe(node)); expected \(key.kind.expectation)")
    }
    return value
  }

  private static func describe(_ node: Node) -> String {
    switch node {
    case .scalar(let scalar): "\"\(scalar.string.prefix(80))\""
    case .sequence(let items): "[" + items.prefix(8).map(describe).joined(separator: ", ") + "]"
    case .mapping(let mapping):
      "{" + mapping.prefix(8).map { "\($0.key.string ?? "?"): \(describe($0.value))" }.joined(separator: ", ") + "}"
    default: "an alias"
    }
  }

  // MARK: By kind

  private static func read(_ node: Node, as kind: SettingKind) -> SettingValue? {
    switch kind {
    case .integer(let range): integer(node, range).map(SettingValue.integer)
    case .optionalInteger(let range): isNull(node) ? .null : integer(node, range).map(SettingValue.integer)
    case .number(let range): number(node, range).map(SettingValue.number)
    case .optionalNumber(let range): isNull(node) ? .null : number(node, range).map(SettingValue.number)
    case .boolean: boolean(node)
    case .text: text(node).map(SettingValue.text)
    case .path: path(node)
    case .optionalPath: isNull(node) ? .null : path(node)
    case .allOrInteger: text(node) == "all" ? .text("all") : integer(node, 1..<Int.max).map(SettingValue.integer)
    case .allOrList: text(node) == "all" ? .text("all") : list(node) { text($0) }.map(SettingValue.texts)
    case .choice(let words): text(node).flatMap { words.contains($0) ? .text($0) : nil }
    case .integers(let range): list(node) { integer($0, range) }.map(SettingValue.integers)
    case .optionalIntegers(let range):
      isNull(node) ? .null : list(node) { integer($0, range) }.map(SettingValue.integers)
    case .choices(let words):
      list(node) { text($0).flatMap { words.contains($0) ? $0 : nil } }.map(SettingValue.texts)
    case .optionalTriple:
      isNull(node)
        ? .null : list(node) { number($0, -1e6...1e6) }.flatMap { $0.count == 3 ? .numbers($0) : nil }
    case .fusion:
      text(node) == "san" ? .integers([0, 3, 6, 9]) : list(node) { integer($0, 0..<1025) }.map(SettingValue.integers)
    case .layers:
      ["all", "tail"].contains(text(node))
        ? text(node).map(SettingValue.text) : list(node) { integer($0, 0..<1025) }.map(SettingValue.integers)
    case .schedule: text(node) == "constant" ? .text("constant") : poly(node)
    case .augmentation: text(node) == "none" ? .text("none") : crop(node)
    // Read by `value(_:of:place:)`, which says more of what is wrong with a row.
    case .rows: nil
    }
  }

  private static func text(_ node: Node) -> String? {
    if case .scalar(let scalar) = node { return scalar.string }
    return nil
  }

  private static func path(_ node: Node) -> SettingValue? {
    // The system ends a path at its first NUL.
    text(node).flatMap { $0.isEmpty || $0.unicodeScalars.contains("\0") ? nil : .text(expandingHome($0)) }
  }

  private static func isNull(_ node: Node) -> Bool {
    guard case .scalar(let scalar) = node else { return false }
    return ["null", "~", ""].contains(scalar.string)
  }

  private static func boolean(_ node: Node) -> SettingValue? {
    switch text(node) {
    case "true", "True", "TRUE": .boolean(true)
    case "false", "False", "FALSE": .boolean(false)
    default: nil
    }
  }

  /// Decimal digits alone, without a leading zero.
  private static func integer(_ node: Node, _ range: Range<Int>) -> Int? {
    guard let text = text(node), let value = Int(text), String(value) == text, range.contains(value) else { return nil }
    return value
  }

  private static func number(_ node: Node, _ range: ClosedRange<Double>) -> Double? {
    guard let text = text(node), let first = text.first, first.isNumber || "+-.".contains(first),
      text.allSatisfy({ $0.isASCII && ($0.isNumber || "+-.eE".contains($0)) }), let value = Double(text),
      value.isFinite, range.contains(value)
    else { return nil }
    return value
  }

  private static func list<Item>(_ node: Node, _ item: (Node) -> Item?) -> [Item]? {
    guard case .sequence(let items) = node, items.count <= 4096 else { return nil }
    let values = items.map(item)
    return values.allSatisfy { $0 != nil } ? values.compactMap { $0 } : nil
  }

  private static func poly(_ node: Node) -> SettingValue? {
    guard case .mapping(let mapping) = node, mapping.count == 1, let power = mapping["poly"] else { return nil }
    return number(power, 0...100).map(SettingValue.poly)
  }

  private static func crop(_ node: Node) -> SettingValue? {
    guard case .mapping(let mapping) = node else { return nil }
    var resize = 0
    var flip = 0.5
    for (key, value) in mapping {
      switch key.string {
      case "crop": if text(value) != "random" { return nil }
      case "resize":
        guard let pixels = integer(value, 0..<8193) else { return nil }
        resize = pixels
      case "flip":
        guard let share = number(value, 0...1) else { return nil }
        flip = share
      default: return nil
      }
    }
    return .crop(resize: resize, flip: flip)
  }
}
