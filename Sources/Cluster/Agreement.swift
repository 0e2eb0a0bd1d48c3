import Failures

/// How ranks agree on a fault: whatever one of them meets, all of them throw, and the same.
extension Cluster {
  /// Runs `body` on every rank; if it throws on any, every rank throws what the lowest such rank met.
  ///
  /// `body` must not call collectives itself after a point at which it may throw.
  public func agree<Result>(_ body: () throws -> Result) throws -> Result {
    var result: Result?
    var failure: Failure?
    do {
      result = try body()
    } catch {
      failure = Self.failure(of: error)
    }
    try share(failure)
    guard let result else { throw Failure.internalError("a rank failed without saying why") }
    return result
  }

  /// Throws on every rank what the lowest rank with a failure has met; returns where none has.
  public func share(_ failure: Failure?) throws {
    guard size > 1 else {
      agreedFailure = failure
      if let failure { throw failure }
      return
    }
    let mark = failure == nil ? 0 : size - rank
    let highest = maximum(mark)
    guard highest > 0 else { return }
    let culprit = size - highest
    var bytes: [UInt8] = []
    if rank == culprit, let failure {
      bytes =
        withUnsafeBytes(of: failure.code.rawValue) { Array($0) }
        + Array(
          // What ranks have agreed on already says where it was met.
          (failure.message + (failure == agreedFailure ? "" : place)).utf8)
    }
    broadcast(&bytes, root: culprit)
    let code = bytes.withUnsafeBytes { $0.loadUnaligned(as: Int32.self) }
    let agreed = Failure(
      ExitCode(rawValue: code) ?? .internalError, String(decoding: bytes.dropFirst(4), as: UTF8.self))
    agreedFailure = agreed
    throw agreed
  }

  /// Notes a failure that every rank comes to by itself, from what all of them know; the caller throws it.
  public func agreed(_ failure: Failure) -> Failure {
    agreedFailure = failure
    return failure
  }

  /// Runs `body` on rank 0 alone; its failure is every rank's.
  public func onRoot(_ body: () throws -> Void) throws {
    try agree { if isRoot { try body() } }
  }

  /// What rank 0 makes of `body`, on every rank.
  public func fromRoot(_ body: () throws -> [UInt8]) throws -> [UInt8] {
    var bytes = try agree { isRoot ? try body() : [] }
    broadcast(&bytes)
    return bytes
  }

  /// Whether every rank ends with this error, so that one may speak for all.
  public func isShared(_ error: Error) -> Bool {
    guard let failure = error as? Failure else { return false }
    return failure == agreedFailure || size == 1
  }

  /// The line that tells the user of the error which ends the program; nil where rank 0 tells of it.
  public func lastWords(of error: Error) -> String? {
    let failure = Self.failure(of: error)
    guard isShared(error) else { return "ala: error: \(failure)\(place)" }
    return isRoot ? "ala: \(failure.code == .interrupted ? "" : "error: ")\(failure)" : nil
  }

  /// Any error as a `Failure`; one of ours as it is.
  public static func failure(of error: Error) -> Failure {
    error as? Failure ?? Failure.internalError("unexpected: \(error)")
  }
}
