/// What one check on one rank has found.
public struct Finding: Codable, Equatable, Sendable {
  public enum Verdict: String, Codable, Comparable, Sendable {
    case ok, note, problem

    private var weight: Int { self == .ok ? 0 : self == .note ? 1 : 2 }
    public static func < (one: Verdict, other: Verdict) -> Bool { one.weight < other.weight }
  }

  /// A word by which the check is known: "folder".
  public let check: String
  public let verdict: Verdict
  public let text: String
  /// What to do about it.
  public let advice: String?

  public static func ok(_ check: String, _ text: String) -> Finding {
    Finding(check: check, verdict: .ok, text: text, advice: nil)
  }

  public static func note(_ check: String, _ text: String, _ advice: String? = nil) -> Finding {
    Finding(check: check, verdict: .note, text: text, advice: advice)
  }

  public static func problem(_ check: String, _ text: String, _ advice: String? = nil) -> Finding {
    Finding(check: check, verdict: .problem, text: text, advice: advice)
  }
}

/// The findings of all ranks, check by check.
public struct Diagnosis: Encodable, Sendable {
  /// Ranks that found the same.
  public struct Group: Encodable, Sendable {
    public let finding: Finding
    public internal(set) var ranks: [Int]
    public internal(set) var hosts: [String]

    enum CodingKeys: String, CodingKey { case verdict, text, advice, ranks, hosts }

    public func encode(to encoder: Encoder) throws {
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encode(finding.verdict, forKey: .verdict)
      try container.encode(finding.text, forKey: .text)
      try container.encodeIfPresent(finding.advice, forKey: .advice)
      try container.encode(ranks, forKey: .ranks)
      try container.encode(hosts, forKey: .hosts)
    }
  }

  public struct Check: Encodable, Sendable {
    public let check: String
    public internal(set) var verdict: Finding.Verdict
    public internal(set) var findings: [Group]
  }

  public let sound: Bool
  public let world: Int
  public let hosts: [String]
  public let checks: [Check]

  /// - Parameter ranks: host and findings of every rank, by rank.
  public init(_ ranks: [(host: String, findings: [Finding])]) {
    var checks: [Check] = []
    for (rank, (host, findings)) in ranks.enumerated() {
      for finding in findings {
        let index = checks.firstIndex { $0.check == finding.check } ?? checks.count
        if index == checks.count { checks.append(Check(check: finding.check, verdict: .ok, findings: [])) }
        checks[index].verdict = max(checks[index].verdict, finding.verdict)
        if let group = checks[index].findings.firstIndex(where: { $0.finding == finding }) {
          checks[index].findings[group].ranks.append(rank)
          if !checks[index].findings[group].hosts.contains(host) { checks[index].findings[group].hosts.append(host) }
        } else {
          checks[index].findings.append(Group(finding: finding, ranks: [rank], hosts: [host]))
        }
      }
    }
    self.checks = checks
    world = ranks.count
    hosts = ranks.reduce(into: []) { if !$0.contains($1.host) { $0.append($1.host) } }
    sound = !checks.contains { $0.verdict == .problem }
  }

  /// One line a check. Where ranks differ, those with the worst finding are named.
  public var lines: [String] {
    checks.map { check in
      let verdict = check.verdict.rawValue.padding(to: 8)
      return "\(verdict) \(check.check.padding(to: 11)) \(worst(check).joined(separator: " | "))"
    }
  }

  /// The problems alone: "folder: /data: … (rank 1 on b)".
  public var problems: [String] {
    checks.filter { $0.verdict == .problem }.map { "\($0.check): \(worst($0).joined(separator: " | "))" }
  }

  private func worst(_ check: Check) -> [String] {
    let groups = check.findings.filter { $0.finding.verdict == check.verdict }
    // What a host has in common is checked by one rank of it.
    let checking = check.findings.reduce(0) { $0 + $1.ranks.count }
    // Where all is well, ranks differ in such things as free memory: the first speaks for all.
    return (check.verdict == .ok ? Array(groups.prefix(1)) : groups).map { group in
      let advice = group.finding.advice.map { "; \($0)" } ?? ""
      let isWhole = check.verdict == .ok || group.ranks.count == checking
      let place =
        isWhole
        ? ""
        : " (rank\(group.ranks.count > 1 ? "s" : "") \(group.ranks.map(String.init).joined(separator: ", ")) on \(group.hosts.joined(separator: ", ")))"
      return group.finding.text + place + advice
    }
  }
}

extension String {
  fileprivate func padding(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
