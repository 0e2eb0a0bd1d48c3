import Lanes

/// Completes lane sums with the other ranks' over MPI.
public final class ClusterExchange: LaneExchange {
  private let cluster: Cluster
  private let lanes: [Range<Int>]
  private var counts: [Int32]
  private var displacements: [Int32]

  /// - Parameter lanes: of a global batch, over all ranks.
  public init(_ cluster: Cluster, lanes: Int) {
    self.cluster = cluster
    self.lanes = (0..<cluster.size).map {
      LanePlan(batch: 0, lanes: lanes, world: cluster.size, rank: $0).ownLanes
    }
    counts = Array(repeating: 0, count: cluster.size)
    displacements = counts
  }

  public func gather(_ table: LaneTable) {
    guard cluster.size > 1 else { return }
    for rank in 0..<cluster.size {
      counts[rank] = Int32(lanes[rank].count * table.width)
      displacements[rank] = Int32(lanes[rank].lowerBound * table.width)
    }
    cluster.allGather(table.base, counts: counts, displacements: displacements)
  }
}
