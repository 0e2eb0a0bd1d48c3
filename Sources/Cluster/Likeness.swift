import Failures
import Foundation

/// What every rank must have alike. Ranks that differ would sum what does not belong together, or wait for each other
/// in different places, so they are compared before anything is computed.
extension Cluster {
  /// What one rank says of itself, in the order in which differences are told.
  struct Roll: Codable {
    struct Fact: Codable {
      let key: String
      let value: String
    }
    let host: String
    let facts: [Fact]

    /// nil where the rank has no such fact.
    func value(_ key: String) -> String? { facts.first { $0.key == key }?.value }
  }

  /// Compares facts over the ranks. Every rank calls this, whatever its facts are.
  ///
  /// - Throws: on every rank the same `Failure` 78, naming key, ranks, hosts and values of all differences.
  public func requireAlike(_ facts: [(key: String, value: String)]) throws {
    let rolls = callRoll(facts)
    let differences = Self.differingKeys(rolls).map { Self.describe($0, rolls) }
    guard !differences.isEmpty else { return }
    throw agreed(
      .badConfiguration(
        "the ranks differ: \(differences.joined(separator: "; ")). Start all with the same settings, program, libraries and data"
      ))
  }

  /// The keys whose values are not the same on all ranks, on every rank.
  public func differing(_ facts: [(key: String, value: String)]) -> [String] {
    Self.differingKeys(callRoll(facts))
  }

  private func callRoll(_ facts: [(key: String, value: String)]) -> [Roll] {
    guard size > 1 else { return [] }
    let own = Roll(host: host, facts: facts.map { Roll.Fact(key: $0.key, value: $0.value) })
    // A rank that could not say anything would differ in everything.
    let bytes = (try? JSONEncoder().encode(own)) ?? Data()
    return allGather(Array(bytes)).map {
      (try? JSONDecoder().decode(Roll.self, from: Data($0))) ?? Roll(host: "unknown", facts: [])
    }
  }

  static func differingKeys(_ rolls: [Roll]) -> [String] {
    var keys: [String] = []
    for key in rolls.flatMap({ $0.facts.map(\.key) }) where !keys.contains(key) { keys.append(key) }
    return keys.filter { key in Set(rolls.map { $0.value(key) }).count > 1 }
  }

  /// "training.lr is 5e-05 on rank 0 (a), 0.001 on ranks 1, 2 (b)".
  static func describe(_ key: String, _ rolls: [Roll]) -> String {
    var groups: [(value: String?, ranks: [Int])] = []
    for (rank, roll) in rolls.enumerated() {
      let value = roll.value(key)
      if let index = groups.firstIndex(where: { $0.value == value }) {
        groups[index].ranks.append(rank)
      } else {
        groups.append((value, [rank]))
      }
    }
    let parts = groups.map { value, ranks in
      let named = ranks.prefix(mostNamed).map(String.init).joined(separator: ", ")
      let more = ranks.count > mostNamed ? " and \(ranks.count - mostNamed) more" : ""
      var hosts: [String] = []
      for rank in ranks.prefix(mostNamed) where !hosts.contains(rolls[rank].host) { hosts.append(rolls[rank].host) }
      return
        "\(value.map { String($0.prefix(mostCharacters)) } ?? "not given") on rank\(ranks.count > 1 ? "s" : "") \(named)\(more) (\(hosts.joined(separator: ", ")))"
    }
    return "\(key) is \(parts.joined(separator: ", "))"
  }

  /// Ranks of one value, and characters of a value, that a message has room for.
  private static let mostNamed = 4
  private static let mostCharacters = 200
}
