import Digests
import Foundation
import Synchronization

/// What ranks tell each other beside MPI: that they live and how far they have come, or that the job ends.
package enum Heartbeat: Equatable, Sendable {
  /// `moves` goes up as long as the rank gets on.
  case beat(rank: Int, moves: Int, ProgressState)
  /// What has been found, for ranks that end because of it.
  case end(rank: Int)

  static let wordCount = 7

  /// Who tells it.
  var rank: Int {
    switch self {
    case .beat(let rank, _, _), .end(let rank): rank
    }
  }

  var words: [UInt64] {
    switch self {
    case .beat(let rank, let moves, let state):
      [0, rank, moves, state.counter, state.operation, state.activity, state.number].map { UInt64($0) }
    case .end(let rank): [1, UInt64(rank), 0, 0, 0, 0, 0]
    }
  }

  init?(_ words: ArraySlice<UInt64>) {
    guard words.count == Self.wordCount, words.allSatisfy({ $0 <= UInt64(Int.max) }) else { return nil }
    let numbers = words.map { Int($0) }
    switch numbers[0] {
    case 0:
      self = .beat(
        rank: numbers[1], moves: numbers[2],
        ProgressState(counter: numbers[3], operation: numbers[4], activity: numbers[5], number: numbers[6]))
    case 1: self = .end(rank: numbers[1])
    default: return nil
    }
  }
}

/// Seals what a rank tells, and opens what others tell it. Datagrams may be anybody's: only who has the job's key can make
/// one, it is good for one rank alone, and it is good once, so that nobody speaks for a rank that is silent by telling
/// again what it has told before.
package final class HeartbeatSeal: Sendable {
  /// Of the job.
  private let key: [UInt8]
  private let rank: Int
  private let counts: Mutex<Counts>

  private struct Counts {
    var sent: UInt64 = 0
    /// The last number that was heard, by rank.
    var heard: [UInt64]
  }

  static let keyBytes = 32
  /// Receiver and number, and the heartbeat.
  private static let wordCount = 2 + Heartbeat.wordCount
  private static let codeBytes = 16

  /// - Parameters:
  ///   - key: of the job, the same on all ranks.
  ///   - size: ranks of the job.
  package init(key: [UInt8], rank: Int, size: Int) {
    (self.key, self.rank) = (key, rank)
    counts = Mutex(Counts(heard: Array(repeating: 0, count: size)))
  }

  /// A datagram for one rank.
  package func seal(_ heartbeat: Heartbeat, to receiver: Int) -> [UInt8] {
    let number = counts.withLock { counts in
      counts.sent += 1
      return counts.sent
    }
    let message = ([UInt64(receiver), number] + heartbeat.words).flatMap { word in
      withUnsafeBytes(of: word.littleEndian) { Array($0) }
    }
    return message + code(message)
  }

  /// - Returns: nil for what is no datagram of another rank of the job for this one, or was there before.
  package func open(_ bytes: ArraySlice<UInt8>) -> Heartbeat? {
    let message = Array(bytes.prefix(8 * Self.wordCount))
    let code = bytes.dropFirst(message.count)
    guard message.count == 8 * Self.wordCount, code.count == Self.codeBytes,
      // Takes as long whatever is right of it.
      zip(code, self.code(message)).reduce(0, { $0 | ($1.0 ^ $1.1) }) == 0
    else { return nil }
    let words = message.withUnsafeBytes { buffer in
      (0..<Self.wordCount).map { UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self)) }
    }
    guard words[0] == UInt64(rank), let heartbeat = Heartbeat(words.dropFirst(2)), heartbeat.rank != rank else {
      return nil
    }
    return counts.withLock { counts in
      guard counts.heard.indices.contains(heartbeat.rank), counts.heard[heartbeat.rank] < words[1] else { return nil }
      counts.heard[heartbeat.rank] = words[1]
      return heartbeat
    }
  }

  private func code(_ message: [UInt8]) -> ArraySlice<UInt8> {
    messageCode(of: message, key: key).prefix(Self.codeBytes)
  }
}
