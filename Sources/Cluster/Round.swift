import Failures

/// The round in which ranks that work by themselves meet now and then, so that none goes on alone.

/// What the ranks have to tell each other; the gravest call of any rank is heard by all.
public enum RoundCall: Int, Sendable {
  /// Nothing.
  case none
  /// That ranks tell each other how long their steps have waited.
  case tally
  /// What the work itself asks for: go on, or write a checkpoint.
  case flag
  /// A signal to stop has come.
  case signal
  /// A rank has failed; `share` tells with what.
  case failure
}

extension Cluster {
  /// How often ranks tell each other of failures and signals in work of which each has its own share.
  public static let secondsPerRound = 10.0

  /// The gravest of every rank's calls. Every rank calls it, at the same point of its work.
  ///
  /// - Parameters:
  ///   - failure: what this rank has met, if anything.
  ///   - signal: the signal that has come to this rank, if any.
  ///   - flag: what this rank asks for.
  ///   - tally: whether this rank asks for a tally of waiting.
  public func round(failure: Failure?, signal: Int32?, flag: Bool, tally: Bool = false) -> RoundCall {
    let own: RoundCall =
      failure != nil ? .failure : signal != nil ? .signal : flag ? .flag : tally ? .tally : .none
    return RoundCall(rawValue: maximum(own.rawValue)) ?? .failure
  }
}
