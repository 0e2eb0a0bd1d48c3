import Cluster
import Failures
import Foundation

/// The failure of numbered tasks on several threads: that of the lowest number, so that the same fault is named
/// however threads take turns.
public final class FirstFailure: @unchecked Sendable {
  private let lock = NSLock()
  private var first: (number: Int, failure: Failure)?

  public init() {}

  public func note(_ number: Int, _ error: Error) {
    lock.withLock {
      if number < first?.number ?? .max { first = (number, Cluster.failure(of: error)) }
    }
  }

  public var failure: Failure? { lock.withLock { first?.failure } }
}
