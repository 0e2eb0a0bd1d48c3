/// Completes tables with other ranks' lanes; called by all ranks in the same order.
public protocol LaneExchange: AnyObject {
  /// - Parameter table: holds this rank's lanes; on return it holds every rank's.
  func gather(_ table: LaneTable)
}

/// A process that holds all lanes itself.
public final class AllLanesHere: LaneExchange {
  public init() {}
  public func gather(_ table: LaneTable) {}
}
