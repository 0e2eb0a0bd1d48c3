/// How a global batch is cut into lanes, and lanes into ranks (docs/model.md, "Lanes").
///
/// Lane j of L holds samples [j·B/L, (j+1)·B/L) of the global batch, whatever the world size; a rank holds
/// consecutive lanes. Where the ranks divide the lanes every rank holds equally many and sums over lanes follow
/// one binary tree.
public struct LanePlan: Equatable, Sendable {
  public let batch: Int
  public let lanes: Int
  public let world: Int
  public let rank: Int

  public init(batch: Int, lanes: Int, world: Int, rank: Int) {
    precondition(lanes > 0 && world > 0 && (0..<world).contains(rank) && batch >= 0)
    self.batch = batch
    self.lanes = lanes
    self.world = world
    self.rank = rank
  }

  /// The lanes of a rank.
  public func lanes(of rank: Int) -> Range<Int> {
    slice(of: lanes, part: rank, among: world)
  }

  /// This rank's lanes.
  public var ownLanes: Range<Int> { lanes(of: rank) }

  /// The samples of a lane, as positions in the global batch.
  public func samples(ofLane lane: Int) -> Range<Int> {
    slice(of: batch, part: lane, among: lanes)
  }

  /// The samples of this rank, as positions in the global batch.
  public var ownSamples: Range<Int> {
    let own = ownLanes
    guard !own.isEmpty else { return 0..<0 }
    return samples(ofLane: own.lowerBound).lowerBound..<samples(ofLane: own.upperBound - 1).upperBound
  }

  /// The most samples that any rank may hold of a full batch.
  public static func largestShare(batch: Int, lanes: Int, world: Int) -> Int {
    (0..<world).map { LanePlan(batch: batch, lanes: lanes, world: world, rank: $0).ownSamples.count }.max() ?? 0
  }
}
