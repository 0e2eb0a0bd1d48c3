import Foundation

/// The extended log-barrier of a constraint z ≤ 0 (Kervadec et al., "Constrained deep networks: Lagrangian optimization
/// via log-barrier extensions"): −ln(−z)/t up to z = −1/t², and its tangent beyond.
public struct LogBarrier: Equatable, Sendable {
  /// t of the first epoch, what it is multiplied by each epoch, and its most.
  public var start = 1.0
  public var growth = 1.01
  public var most = 10.0

  public init() {}

  /// t of an epoch, from 1.
  public func t(epoch: Int) -> Double { min(start * pow(growth, Double(epoch - 1)), most) }

  public static func value(_ z: Double, t: Double) -> Double {
    let edge = 1 / (t * t)
    return z <= -edge ? -log(-z) / t : t * z - log(edge) / t + 1 / t
  }

  public static func derivative(_ z: Double, t: Double) -> Double {
    z <= -1 / (t * t) ? -1 / (t * z) : t
  }
}
