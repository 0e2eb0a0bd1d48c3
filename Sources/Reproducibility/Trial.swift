/// What `ala prove` runs: the same steps in different ways, of which the first is the reference.

/// One way to make the same steps.
public struct Trial: Equatable, Sendable {
  /// What comes between the first step and the last.
  public enum Interruption: String, Codable, Sendable {
    case none
    /// A checkpoint at half-way, and a second call of the same command.
    case stopped
    /// `kill -9` of every process in mid-run, and a second call of the same command.
    case killed
  }

  /// Ranks of each call, one call or two.
  public let ranks: [Int]
  /// Of each rank.
  public let threads: Int
  /// Ranks that make the cache first; nil trains from the image files.
  public let cachedBy: Int?
  public let interruption: Interruption

  public init(ranks: [Int], threads: Int, cachedBy: Int? = nil, interruption: Interruption = .none) {
    self.ranks = ranks
    self.threads = threads
    self.cachedBy = cachedBy
    self.interruption = interruption
  }

  /// "2 ranks x 1 thread, live, killed and resumed by 1 rank".
  public var name: String {
    func count(_ number: Int, _ word: String) -> String { "\(number) \(word)\(number == 1 ? "" : "s")" }
    let way = "\(count(ranks[0], "rank")) x \(count(threads, "thread"))"
    let data = cachedBy.map { "cached by \(count($0, "rank"))" } ?? "live"
    guard interruption != .none else { return "\(way), \(data)" }
    return "\(way), \(data), \(interruption.rawValue) and resumed by \(count(ranks[1], "rank"))"
  }

  /// Every way that is tried.
  ///
  /// - Parameters:
  ///   - worlds: numbers of ranks, each once; the first is the reference's.
  ///   - threads: of a rank.
  ///   - lanes: `training.lanes`.
  public static func all(worlds: [Int], threads: Int, lanes: Int) -> [Trial] {
    guard let first = worlds.first else { return [] }
    // Runs that change their world size go on with the same bits where both divide the lanes.
    let last = worlds.last { Equality.promised([$0, first], lanes: lanes) == .bits } ?? first
    return worlds.map { Trial(ranks: [$0], threads: threads) }
      + [
        Trial(ranks: [first], threads: threads == 1 ? 2 : 1),
        Trial(ranks: [first], threads: threads, cachedBy: last),
      ] + (last == first ? [] : [Trial(ranks: [last], threads: threads, cachedBy: first)])
      + [
        Trial(ranks: [first, last], threads: threads, interruption: .stopped),
        Trial(ranks: [last, first], threads: threads, interruption: .killed),
      ]
  }
}

/// How much alike two runs are.
public enum Equality: String, Codable, Sendable {
  /// Every weight, moment and count is the same to the last bit.
  case bits
  /// The losses of all steps are the same but for the order in which numbers were added.
  case rounding

  /// The largest difference of a loss, as a share of it, or of 1 where it is smaller, that is put down to rounding.
  public static let mostDifference = 1e-5

  /// What is promised of runs at all of these world sizes (docs/architecture.md, "Why the bits are the same").
  public static func promised(_ worlds: [Int], lanes: Int) -> Equality {
    let isOneSize = Set(worlds).count == 1
    return isOneSize || worlds.allSatisfy({ lanes % $0 == 0 }) ? .bits : .rounding
  }
}
