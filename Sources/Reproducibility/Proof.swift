import Foundation

/// What `ala prove` has found.
public struct Proof: Codable, Sendable {
  /// One way, and what came of it.
  public struct Outcome: Codable, Sendable {
    public let name: String
    public let ranks: [Int]
    public let threads: Int
    /// Whether the samples came from a cache.
    public let isCached: Bool
    public let interruption: Trial.Interruption
    /// The step after whose end the first call was ended; nil where nothing was.
    public let interruptedAtStep: Int?
    public let modelSHA256: String
    /// Of the weights, the moments and their counts.
    public let stateSHA256: String
    /// Against the reference.
    public let promise: Equality
    /// The largest difference of a step's loss from the reference's, as a share of it.
    public let lossDifference: Double
    public let holds: Bool
    public let seconds: Double

    enum CodingKeys: String, CodingKey {
      case name, ranks, threads, interruption, promise, holds, seconds
      case isCached = "cached"
      case interruptedAtStep = "interrupted_at_step"
      case modelSHA256 = "model_sha256"
      case stateSHA256 = "state_sha256"
      case lossDifference = "loss_difference"
    }
  }

  public let steps: Int
  public let epochs: Int
  /// Training images that the steps go through.
  public let images: Int
  public let lanes: Int
  /// The first is the reference.
  public private(set) var trials: [Outcome] = []
  /// Whether every way ended as promised.
  public private(set) var holds = true

  mutating func add(_ outcome: Outcome) {
    trials.append(outcome)
    holds = holds && outcome.holds
  }

  /// Digits of a digest that the table shows.
  private static let shownDigits = 16

  /// The table and the verdict, for people.
  public var lines: [String] {
    let width = trials.map(\.name.count).max() ?? 0
    let rows = trials.enumerated().map { index, trial in
      let name = trial.name.padding(toLength: width, withPad: " ", startingAt: 0)
      return "\(name)  \(trial.modelSHA256.prefix(Self.shownDigits))  \(index == 0 ? "the reference" : word(on: trial))"
    }
    return [
      "weights after \(steps) steps over \(images) images, \(epochs) epoch\(epochs == 1 ? "" : "s"), in \(lanes) lanes:"
    ] + rows + [verdict]
  }

  private func word(on trial: Outcome) -> String {
    switch (trial.promise, trial.holds) {
    case (.bits, true): return "the same bits"
    case (.bits, false):
      let difference =
        trial.lossDifference > 0 ? "losses differ by up to \(share(trial.lossDifference))" : "losses agree"
      return "NOT the same bits, which is promised; \(difference)"
    case (.rounding, let holds):
      return
        "\(holds ? "" : "NOT ")equal to rounding, as promised where ranks do not divide lanes: losses differ by up to \(share(trial.lossDifference)), \(share(Equality.mostDifference)) is allowed"
    }
  }

  private func share(_ value: Double) -> String { String(format: "%.1e", value) }

  /// One sentence on the whole.
  public var verdict: String {
    let broken = trials.filter { !$0.holds }
    guard broken.isEmpty else {
      return "broken: \(broken.count) of \(trials.count) runs end otherwise than promised: "
        + broken.map(\.name).joined(separator: "; ")
    }
    let rounded = trials.count { $0.promise == .rounding }
    return "holds: \(trials.count - rounded) runs end in the same bits"
      + (rounded > 0 ? ", \(rounded) in the same figures to rounding" : "")
  }
}
