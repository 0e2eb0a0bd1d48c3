import Cluster
import Failures
import Foundation

/// The failure of numbered tasks on several threads: that of the lowest number, so that the same fault is named
/// however threads take turns.
final class FirstFailure: @unchecked Sendable {
  private let lock = NSLock()
  private var first: (number: Int, failure: Failure)?

  func note(_ number: Int, _ error: Error) {
    lock.withLock {
      if number < first?.number ?? .max { first = (number, Cluster.failure(of: error)) }
    }
  }

  var failure: Failure? { lock.withLock { first?.failure } }
}
