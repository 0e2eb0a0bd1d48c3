import Estimation
import Settings

/// A feature cache that networks of one seed share: that of the lowest first LoRA block among them, with every layer that
/// one of them reads below it.
struct CacheGroup: Equatable, Sendable {
  /// By their places in the table's list.
  let networks: [Int]
  /// The one of them whose settings the caching pass is run under.
  let maker: Int
  /// Beside h⁽ᵐ⁻¹⁾.
  let layers: [Int]
  /// m: blocks from this one on are run by every reader.
  let firstLoRABlock: Int
  /// What stands behind the seed in its folder's name.
  let suffix: String

  /// What a network reads of it.
  ///
  /// - Parameter frozenLayers: all that the network reads of what is frozen.
  func readBy(frozenLayers: [Int], firstLoRABlock own: Int) -> String {
    let read = frozenLayers.filter { $0 < firstLoRABlock - 1 }
    let names = read.map { "h\($0)" } + ["h\(firstLoRABlock - 1)"]
    let blocks = own == firstLoRABlock + 1 ? "block \(firstLoRABlock)" : "blocks \(firstLoRABlock) to \(own - 1)"
    return names.joined(separator: ", ") + (own > firstLoRABlock ? ", runs \(blocks) again" : "")
  }

  /// The caches of a table's networks. A row of the user's own whose LoRA lies lower than that of all of `ala`'s own rows
  /// has a cache of its own, for all others would have to run most of the encoder again.
  ///
  /// - Parameter grounds: of each network, what its cached rows are made from; see `Ground.key`.
  static func make(_ networks: [ComparedNetwork], _ facts: [NetworkShape], grounds: [String]) -> [CacheGroup] {
    func key(_ index: Int) -> String {
      let cache = networks[index].configuration.cache
      return "\(grounds[index])\n\(cache.views) \(cache.dtype)"
    }
    var groups: [CacheGroup] = []
    for ground in networks.indices.map(key).uniqued() {
      let members = networks.indices.filter { key($0) == ground }
      let known = members.filter { RowSetting.known.contains(networks[$0].name) }
      let lowest = (known.isEmpty ? members : known).map { facts[$0].firstLoRABlock }.min() ?? 1
      let sharing = members.filter { facts[$0].firstLoRABlock >= lowest }
      for part in [sharing] + members.filter({ !sharing.contains($0) }).map({ [$0] }) {
        guard let maker = part.min(by: { facts[$0].firstLoRABlock < facts[$1].firstLoRABlock }) else { continue }
        let block = facts[maker].firstLoRABlock
        groups.append(
          CacheGroup(
            networks: part, maker: maker,
            layers: Set(part.flatMap { facts[$0].frozenLayers }).filter { $0 < block - 1 }.sorted(),
            firstLoRABlock: block, suffix: groups.isEmpty ? "" : "-\(networks[part[0]].name)"))
      }
    }
    return groups
  }
}

extension Sequence where Element: Hashable {
  /// Each element once, where it comes first.
  func uniqued() -> [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}
