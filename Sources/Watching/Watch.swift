import Failures
import Files
import Foundation
import Reporting

/// `ala watch`: looks on while a run or a table goes on, from another process, by nothing but the files that it writes.

public struct WatchRequest: Sendable {
  /// The folder of a run or a table.
  public var folder: String
  /// The page to write; nil for none.
  public var page: String?
  /// Seconds between two looks.
  public var seconds: Int
  /// Whether one look is enough.
  public var isOnce: Bool
  /// `--overwrite`.
  public var isOverwriting: Bool

  public init(folder: String, page: String?, seconds: Int, isOnce: Bool, isOverwriting: Bool) {
    (self.folder, self.page, self.seconds) = (folder, page, seconds)
    (self.isOnce, self.isOverwriting) = (isOnce, isOverwriting)
  }
}

/// What can be looked on at.
protocol Watched {
  /// The folder.
  var path: String { get }
  /// The process that has the folder; nil where none has.
  var holder: String? { get }
  /// Looks at what is new.
  mutating func look()
  /// What the last look saw, for a terminal; the second line tells how far it has come.
  var lines: [String] { get }
  /// The same as a page that is loaded again after some seconds; nil: it stays as it is.
  func page(seconds: Int?) throws -> String
}

/// A look passes over what it cannot read; what will never be readable is told of before the first.
///
/// - Throws: `Failure` 65 for the first of some names that something else than a regular file has.
func requireRegularFiles(_ names: [String], in folder: String) throws {
  for path in names.map({ "\(folder)/\($0)" }) {
    if let fault = irregularity(of: path) { throw Failure.badData("\(path): \(fault)") }
  }
}

/// Writes the page and shows the same in lines, again and again until the run has ended.
///
/// - Parameter show: takes the lines of each look, and whether it is the last one.
/// - Throws: `Failure` 66 for what is no folder of a run or a table, 65 where something else has the place of a file of it,
///   73 where the page cannot be written or is no page of this command.
public func watch(_ request: WatchRequest, show: (_ lines: [String], _ isLast: Bool) throws -> Void) throws {
  var watched: any Watched =
    try WatchedTable.isThere(request.folder) ? WatchedTable(request.folder) : WatchedRun(request.folder)
  if let page = request.page {
    // A page in the folder is replaced; whatever else lies there is what the run has written.
    let files = FileManager.default.enumerator(atPath: request.folder)?.compactMap { $0 as? String } ?? []
    let inputs = files.map { "\(request.folder)/\($0)" }.filter { !isPage($0, of: watchGenerator) }
    try guardOutput(page, inputs: inputs, isOverwriting: request.isOverwriting) { isPage($0, of: watchGenerator) }
    try makeFolder(of: page)
  }
  while true {
    watched.look()
    if let page = request.page {
      try writeAtomically(try watched.page(seconds: request.isOnce ? nil : request.seconds), to: page)
    }
    let isLast = request.isOnce || watched.holder == nil
    try show(watched.lines, isLast)
    if isLast { return }
    sleep(UInt32(request.seconds))
  }
}
