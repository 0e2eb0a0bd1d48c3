import Failures
import Yams

/// Reads `table.rows`: names, and maps `{name, method, set}` for rows of the user's own.
enum RowReading {
  /// - Parameter place: file and line, for messages.
  /// - Throws: `Failure` 78 saying which row is wrong, and how.
  static func read(_ node: Node, place: String) throws -> [RowSetting] {
    guard case .sequence(let items) = node, items.count <= 4096 else {
      throw Failure.badConfiguration("\(place): table.rows: expected \(SettingKind.rows.expectation)")
    }
    return try items.map { item in
      switch item {
      case .scalar(let scalar): try known(scalar.string, place: place)
      case .mapping(let mapping): try own(mapping, place: place)
      default: throw Failure.badConfiguration("\(place): table.rows: expected \(SettingKind.rows.expectation)")
      }
    }
  }

  private static func known(_ name: String, place: String) throws -> RowSetting {
    guard RowSetting.known.contains(name) else {
      throw Failure.badConfiguration(
        "\(place): table.rows: there is no row \"\(name)\"; expected \(RowSetting.known.joined(separator: ", ")), "
          + "or a map such as {name: mine, method: \(name)} or {name: wide, set: {side.width: 480}}")
    }
    return RowSetting(known: name)
  }

  private static func own(_ mapping: Node.Mapping, place: String) throws -> RowSetting {
    let name = mapping["name"].flatMap(text)
    let place = name.map { "\(place): row \($0)" } ?? place
    var (method, settings) = (String?.none, [RowSetting.Assignment]())
    for (key, value) in mapping {
      switch key.string {
      case "name": break
      case "method":
        guard let text = text(value) else {
          throw Failure.badConfiguration("\(place): table.rows: method: expected the name of an explanation method")
        }
        method = text
      case "set": settings = try assignments(value, below: "", place: "\(place): table.rows: set")
      default:
        throw Failure.badConfiguration(
          "\(place): table.rows: a row has no key \(key.string ?? "that is no text"); expected name, method, set")
      }
    }
    guard let name, isName(name) else {
      throw Failure.badConfiguration(
        "\(place): table.rows: name is \(name.map { "\"\($0)\"" } ?? "absent"); expected at most 64 letters, digits, "
          + "\"_\", \"-\" or \".\", the first no \".\": it becomes a folder's name")
    }
    guard !RowSetting.known.contains(name) else {
      throw Failure.badConfiguration("\(place): table.rows: \(name) is a row of ala's own; give yours another name")
    }
    return RowSetting(name: name, method: method, settings: settings)
  }

  private static func isName(_ name: String) -> Bool {
    (1...64).contains(name.count) && name.first != "."
      && name.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "_-.".contains($0)) }
  }

  private static func text(_ node: Node) -> String? {
    if case .scalar(let scalar) = node { scalar.string } else { nil }
  }

  /// The settings of a map, by sections or by whole paths, each checked by its kind.
  private static func assignments(
    _ node: Node, below prefix: String, place: String
  ) throws -> [RowSetting.Assignment] {
    guard case .mapping(let mapping) = node else {
      throw Failure.badConfiguration("\(place): expected a map of settings such as {side.width: 480}")
    }
    return try mapping.flatMap { key, value -> [RowSetting.Assignment] in
      guard let name = key.string else { throw Failure.badConfiguration("\(place): a key is not a plain text") }
      let path = prefix + name
      if let setting = SettingTable.key(path) { return try assignments(value, to: setting, place: place) }
      if SettingReader.knows(path) { return try [member(value, path: path, place: place)] }
      guard SettingTable.hasSection(path) else { throw SettingReader.unknown(path, place: place) }
      return try assignments(value, below: path + ".", place: place)
    }
  }

  private static func assignments(
    _ node: Node, to key: SettingKey, place: String
  ) throws -> [RowSetting.Assignment] {
    guard !RowSetting.isOfTheTable(key.path) else {
      throw Failure.badConfiguration("\(place): \(key.path) is the same for all rows of a table; set it for the table")
    }
    if key.kind.isMap, case .mapping(let mapping) = node {
      return try mapping.map { try member($1, path: "\(key.path).\($0.string ?? "")", place: place) }
    }
    let value = try SettingReader.value(node, of: key, place: place)
    if case .text(let text) = value { return [.init(key.path, text)] }
    return [.init(key.path, value.yaml)]
  }

  /// A member of a setting that is a map, such as training.schedule.poly.
  private static func member(_ node: Node, path: String, place: String) throws -> RowSetting.Assignment {
    guard let text = text(node), let dot = path.lastIndex(of: "."), let key = SettingTable.key(String(path[..<dot]))
    else { throw Failure.badConfiguration("\(place): \(path): expected one value") }
    let alone = Node.mapping(Node.Mapping([(Node(String(path[path.index(after: dot)...])), node)]))
    _ = try SettingReader.value(alone, of: key, place: place)
    return RowSetting.Assignment(path, text)
  }
}
