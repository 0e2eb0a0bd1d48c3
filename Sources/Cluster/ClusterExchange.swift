import Lanes

/// Completes lane sums with the other ranks' over MPI.
public final class ClusterExchange: LaneExchange {
  private let cluster: Cluster
  private let lanes: [Range<Int>]
  /// Every rank's lanes are as many, and a subtree of the table's sums.
  private let isSubtreeEach: Bool
  private let ranks: [Range<Int>]
  private var counts: [Int32]
  private var displacements: [Int32]

  /// - Parameter lanes: of a global batch, over all ranks.
  public init(_ cluster: Cluster, lanes: Int) {
    self.cluster = cluster
    self.lanes = (0..<cluster.size).map {
      LanePlan(batch: 0, lanes: lanes, world: cluster.size, rank: $0).ownLanes
    }
    let first = self.lanes[0].count
    isSubtreeEach = self.lanes.allSatisfy { $0.count == first } && LaneTable.isSubtree(first)
    ranks = (0..<cluster.size).map { $0..<$0 + 1 }
    counts = Array(repeating: 0, count: cluster.size)
    displacements = counts
  }

  public func complete(_ table: LaneTable) {
    guard isSubtreeEach else {
      gather(table.base, rows: lanes, width: table.width)
      return table.sum(lanes: 0..<table.lanes, toPartial: 0)
    }
    table.sum(lanes: lanes[cluster.rank], toPartial: cluster.rank)
    gather(table.partial, rows: ranks, width: table.width)
    table.finish(partials: cluster.size)
  }

  /// - Parameter rows: of each rank.
  private func gather(_ base: UnsafeMutablePointer<Double>, rows: [Range<Int>], width: Int) {
    guard cluster.size > 1 else { return }
    for (rank, rows) in rows.enumerated() {
      counts[rank] = Int32(rows.count * width)
      displacements[rank] = Int32(rows.lowerBound * width)
    }
    cluster.allGather(base, counts: counts, displacements: displacements)
  }
}
