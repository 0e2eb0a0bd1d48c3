/// Completes tables with other ranks' lanes; called by all ranks in the same order.
public protocol LaneExchange: AnyObject {
  /// Makes a table's totals.
  ///
  /// - Parameter table: holds this rank's lanes.
  func complete(_ table: LaneTable)
}

/// A process that holds all lanes itself.
public final class AllLanesHere: LaneExchange {
  public init() {}
  public func complete(_ table: LaneTable) { table.sum(lanes: 0..<table.lanes, toPartial: 0) }
}
