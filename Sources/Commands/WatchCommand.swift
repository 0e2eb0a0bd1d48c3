import ArgumentParser
import Cluster
import Failures
import Files
import Foundation
import Watching

struct WatchCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch",
    abstract: "Looks on while a run or a table goes on: losses, rate, time left, newest maps, what ranks wait for.",
    discussion: """
      Shows them here, and writes a page that a browser loads again by itself, until the run ends. Of a table it shows how \
      every row and seed stands, and the run that goes on. It reads only what the run writes, and may be ended and started \
      again at any time.

      Examples:
        ala watch runs/quickstart/run
        ala watch runs/quickstart/run --once --out now.html
        ala watch runs/quickstart/table
      """)

  @Argument(help: "The folder of a run (run.dir) or of a table (its --out).", completion: .directory)
  var folder: String

  @Option(
    help: ArgumentHelp(
      "The page to write; by default watch.html in that folder, where it can be written.", valueName: "FILE"),
    completion: .file())
  var out: String?

  @Option(help: ArgumentHelp("Look again after so many seconds.", valueName: "seconds"))
  var every = 5

  @Flag(help: "Look once, and end.")
  var once = false

  @Flag(help: "Replace a file that is no page of this command.")
  var overwrite = false

  func validate() throws {
    if !(1...86400).contains(every) { throw ValidationError("--every is \(every); expected seconds from 1 to 86400") }
  }

  func run(on cluster: Cluster) throws {
    guard cluster.size == 1 else {
      throw cluster.agreed(.usage("ala watch looks at all ranks of a run from outside: start it without mpirun"))
    }
    let folder = folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    // Somebody else's run can be looked on at, too.
    let isClosed = out == nil && access(folder, F_OK) == 0 && access(folder, W_OK | X_OK) != 0
    let page = isClosed ? nil : out ?? "\(folder)/watch.html"
    let place = page ?? "none, for \(folder) cannot be written into: --out FILE writes it elsewhere"
    var view = WatchView(isRedrawn: !once && Terminal.isThere && isatty(STDOUT_FILENO) == 1)
    try watch(
      WatchRequest(folder: folder, page: page, seconds: every, isOnce: once, isOverwriting: overwrite)
    ) { lines, isLast in
      try view.show(lines + ["page: \(place)"], isLast: isLast)
    }
  }
}

/// Lines that stand in place of those shown before, on a terminal; elsewhere all of them the first time and the last, and
/// between them the one that tells how far the run has come, where it has changed.
private struct WatchView {
  let isRedrawn: Bool
  private var shownLines = 0
  private var lastProgress: String?

  init(isRedrawn: Bool) { self.isRedrawn = isRedrawn }

  mutating func show(_ lines: [String], isLast: Bool) throws {
    guard isRedrawn else {
      let progress = lines.dropFirst().first
      defer { lastProgress = progress }
      if lastProgress == nil || isLast { return try StandardOutput.print(lines.joined(separator: "\n")) }
      if let progress, progress != lastProgress { try StandardOutput.print(progress) }
      return
    }
    let back = shownLines > 0 ? "\u{1B}[\(shownLines)A\r\u{1B}[J" : ""
    // What has left the screen above cannot be gone back over: of many lines the first are shown, and where the page is.
    let room = max((Terminal.height ?? .max) - 1, 1)
    // Of a narrow terminal's lines, the first two say how the run stands and how long it still takes: they are folded.
    let fitted = lines.enumerated().flatMap { index, line in
      index < 2 ? Terminal.folded(printable(line)) : [Terminal.fitted(printable(line))]
    }
    let shown = fitted.count > room ? Array(fitted.prefix(room - 1) + fitted.suffix(1)) : fitted
    StandardError.write(back + shown.map { $0 + "\n" }.joined())
    shownLines = shown.count
  }
}
