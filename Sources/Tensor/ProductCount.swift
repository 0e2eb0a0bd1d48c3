import Foundation

/// One shape of matrix product: Y [m, n] = X [m, k]·(…).
public struct ProductShape: Hashable, Sendable {
  public enum Form: Sendable {
    /// X·Wᵀ.
    case forward
    /// dY·W.
    case input
    /// dYᵀ·X.
    case weight
  }

  public let form: Form
  public let m: Int
  public let n: Int
  public let k: Int
  /// What the operands are where the second is a packed weight; nil: two matrices of float32 as they lie.
  public var packed: Precision?

  public var flop: Double { 2 * Double(m) * Double(n) * Double(k) }
}

/// Matrix products by shape: what a network says of its work, for `ala bench` and the training log, and what kernels
/// have really made, which a test holds it against. A product that is made again, to save memory, is no work.
public struct ProductCount: Sendable {
  public private(set) var counts: [ProductShape: Int] = [:]

  /// Floating-point operations of all of them.
  public var flop: Double { counts.reduce(0) { $0 + $1.key.flop * Double($1.value) } }

  public init() {}

  public mutating func add(
    _ form: ProductShape.Form, m: Int, n: Int, k: Int, times: Int = 1, packed: Precision? = nil
  ) {
    guard m > 0, n > 0, k > 0 else { return }
    counts[ProductShape(form: form, m: m, n: n, k: k, packed: packed), default: 0] += times
  }

  // MARK: What is made

  private final class Recording: @unchecked Sendable {
    let thread = pthread_self()
    var count = ProductCount()
    var isRepeating = false
  }

  /// Read by every product; set only by `made`.
  private nonisolated(unsafe) static var recording: Recording?

  /// The products that `body` makes on the calling thread. For one thread at a time: off, it costs a product one test.
  public static func made(by body: () throws -> Void) rethrows -> ProductCount {
    let own = Recording()
    recording = own
    defer { recording = nil }
    try body()
    return own.count
  }

  /// Leaves out what `body` makes: products that the thread has made before, and does again.
  public static func repeating(_ body: () -> Void) {
    let own = ownRecording
    own?.isRepeating = true
    body()
    own?.isRepeating = false
  }

  private static var ownRecording: Recording? {
    guard let recording, pthread_equal(recording.thread, pthread_self()) != 0 else { return nil }
    return recording
  }

  /// Tells of a product that a kernel makes.
  @inline(__always)
  static func note(_ form: ProductShape.Form, m: Int, n: Int, k: Int, packed: Precision? = nil) {
    guard let recording = ownRecording, !recording.isRepeating else { return }
    recording.count.add(form, m: m, n: n, k: k, packed: packed)
  }
}
