import Cluster
import Foundation

/// How long the steps of each rank stand still: for their samples, and for other ranks. Who waits least for the others is
/// the one that they wait for.
struct WaitingTally {
  private let cluster: Cluster
  private var steps = 0
  private var seconds = (data: 0.0, ranks: 0.0)
  private var begun = Date()

  /// Between two tallies within an epoch.
  private static let interval = 10.0

  init(_ cluster: Cluster) { self.cluster = cluster }

  /// - Parameters:
  ///   - data, ranks: seconds that this rank's step has waited for its samples and in what waits for other ranks.
  mutating func note(data: Double, ranks: Double) {
    steps += 1
    seconds.data += data
    seconds.ranks += ranks
  }

  /// On rank 0, whose clock counts for all.
  var isDue: Bool { cluster.isRoot && steps > 0 && Date().timeIntervalSince(begun) >= Self.interval }

  /// The means of a step since the last call, in milliseconds, by rank; nil where no step was made. Every rank calls it, after
  /// as many steps.
  mutating func gather() -> (data: [Double], ranks: [Double])? {
    guard steps > 0 else { return nil }
    let milliseconds = 1000 / Double(steps)
    var table = [Double](repeating: 0, count: 2 * cluster.size)
    table[2 * cluster.rank] = seconds.data * milliseconds
    table[2 * cluster.rank + 1] = seconds.ranks * milliseconds
    table.withUnsafeMutableBufferPointer { table in
      guard let base = table.baseAddress else { return }
      cluster.allGather(
        base, counts: [Int32](repeating: 2, count: cluster.size),
        displacements: (0..<cluster.size).map { Int32(2 * $0) })
    }
    self = WaitingTally(cluster)
    return (
      stride(from: 0, to: table.count, by: 2).map { table[$0] },
      stride(from: 1, to: table.count, by: 2).map { table[$0] }
    )
  }
}
