import Failures
import Yams

/// YAML's merge keys (`<<`, yaml.org/type/merge): a map takes over the members of another, or of each of a list of maps.
/// Its own members come first, then those of the earlier map.
enum Merging {
  /// More than any settings file has, aliases followed; a small file of aliases of aliases may stand for billions.
  private static let mostNodes = 10_000

  /// Where a node is written; an alias has its original's place.
  private struct Place: Hashable {
    let line: Int
    let column: Int

    init(_ mark: Mark) { (line, column) = (mark.line, mark.column) }
  }

  /// The same document without merge keys, and without the parts at its top that are no settings and only lend their
  /// members to others by an anchor.
  ///
  /// - Throws: `Failure` 78 where a merge key names no map, or the document is too large.
  static func resolve(_ root: Node, place: String) throws -> Node {
    var counts: [Place: Int] = [:]
    var left = mostNodes
    count(root, &counts, left: &left)
    guard left > 0 else {
      throw Failure.badConfiguration("\(place): stands for more than \(mostNodes) values; expected fewer aliases")
    }
    let resolved = try merged(root, place: place)
    guard case .mapping(let mapping) = resolved else { return resolved }
    let kept = mapping.filter { key, value in
      let isLender = value.mapping != nil && value.mark.map { counts[Place($0), default: 0] > 1 } == true
      return !isLender || SettingTable.hasSection(key.string ?? "") || SettingTable.key(key.string ?? "") != nil
    }
    return .mapping(Node.Mapping(kept.map { ($0.key, $0.value) }, mapping.tag, mapping.style, mapping.mark))
  }

  /// How often a map stands in a document: once where it is written, and once for each alias.
  private static func count(_ node: Node, _ counts: inout [Place: Int], left: inout Int) {
    left -= 1
    guard left > 0 else { return }
    switch node {
    case .mapping(let mapping):
      if let mark = mapping.mark { counts[Place(mark), default: 0] += 1 }
      for (_, value) in mapping { count(value, &counts, left: &left) }
    case .sequence(let items): for item in items { count(item, &counts, left: &left) }
    default: break
    }
  }

  private static func merged(_ node: Node, place: String) throws -> Node {
    switch node {
    case .mapping(let mapping): return .mapping(try merged(mapping, place: place))
    case .sequence(let items):
      var result = items
      for index in items.indices { result[index] = try merged(items[index], place: place) }
      return .sequence(result)
    default: return node
    }
  }

  private static func merged(_ mapping: Node.Mapping, place: String) throws -> Node.Mapping {
    var own: [(Node, Node)] = []
    var lent: [(Node, Node)] = []
    for (key, value) in mapping {
      let resolved = try merged(value, place: place)
      guard isMergeKey(key) else {
        own.append((key, resolved))
        continue
      }
      for source in try sources(resolved, place: key.mark.map { "\(place):\($0.line)" } ?? place) {
        for member in source where !lent.contains(where: { $0.0 == member.key }) {
          lent.append((member.key, member.value))
        }
      }
    }
    lent.removeAll { lender in own.contains { $0.0 == lender.0 } }
    return Node.Mapping(own + lent, mapping.tag, mapping.style, mapping.mark)
  }

  /// A quoted `<<` is a key like any other.
  private static func isMergeKey(_ key: Node) -> Bool {
    guard case .scalar(let scalar) = key else { return false }
    return scalar.string == "<<" && scalar.style != .singleQuoted && scalar.style != .doubleQuoted
  }

  private static func sources(_ node: Node, place: String) throws -> [Node.Mapping] {
    switch node {
    case .mapping(let mapping): return [mapping]
    case .sequence(let items):
      return try items.map { item in
        guard case .mapping(let mapping) = item else {
          throw Failure.badConfiguration("\(place): <<: expected maps in the list, such as [*one, *other]")
        }
        return mapping
      }
    default: throw Failure.badConfiguration("\(place): <<: expected a map, such as *name, or a list of maps")
    }
  }
}
