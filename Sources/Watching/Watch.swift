import Failures
import Files
import Foundation
import Reporting

/// `ala watch`: looks on while a run goes on, from another process, by nothing but the files that the run writes.

public struct WatchRequest: Sendable {
  /// The run's folder.
  public var run: String
  /// The page to write.
  public var page: String
  /// Seconds between two looks.
  public var seconds: Int
  /// Whether one look is enough.
  public var isOnce: Bool
  /// `--overwrite`.
  public var isOverwriting: Bool

  public init(run: String, page: String, seconds: Int, isOnce: Bool, isOverwriting: Bool) {
    (self.run, self.page, self.seconds) = (run, page, seconds)
    (self.isOnce, self.isOverwriting) = (isOnce, isOverwriting)
  }
}

/// Writes the page and shows the same in lines, again and again until the run has ended.
///
/// - Parameter show: takes the lines of each look.
/// - Throws: `Failure` 66 for what is no run's folder, 73 where the page cannot be written or is no page of this command.
public func watch(_ request: WatchRequest, show: ([String]) throws -> Void) throws {
  var run = try WatchedRun(request.run)
  try guardOutput(request.page, inputs: [], isOverwriting: request.isOverwriting) { isPage($0, of: watchGenerator) }
  while true {
    run.look()
    let standing = Standing(run)
    try writeAtomically(try renderPage(run, standing, seconds: request.seconds), to: request.page)
    try show(standing.lines(run: request.run))
    if request.isOnce || run.holder == nil { return }
    sleep(UInt32(request.seconds))
  }
}
