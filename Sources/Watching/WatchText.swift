import Foundation

extension WatchedRun {
  /// For a terminal; the lines are cut by who shows them.
  var lines: [String] {
    let standing = Standing(self)
    return ["\(path): \(standing.state)", progressLine(standing.progress, share: standing.share)] + standing.details
      + standing.lastWords.suffix(1).map { "log: \($0)" }
  }
}

/// A bar of how much is done, where that is known, before the words.
func progressLine(_ progress: String, share: Double?) -> String {
  guard let share else { return progress }
  let length = 24
  let done = Int(share * Double(length))
  return "[\(String(repeating: "#", count: done))\(String(repeating: ".", count: length - done))] "
    + String(format: "%.0f%%  ", 100 * share) + progress
}

extension Standing {
  /// Losses by phase, the last validation, what ranks wait for.
  var details: [String] {
    var lines: [String] = []
    let width = phases.map(\.phase.count).max() ?? 0
    for row in phases {
      let cells = zip(Self.phaseHeads, row.cells).map { "\($0) \($1)" }.joined(separator: "  ")
      let name = row.phase + String(repeating: " ", count: width - row.phase.count)
      lines.append("\(name)  \(cells)  \(Self.sparks(row.epochLosses))")
    }
    if let remark { lines.append(remark) }
    if let validation { lines.append("validation, \(validation)") }
    if let first = ranks.first, let last = ranks.last, ranks.count > 1 {
      lines.append(
        "a step waits for other ranks: \(Self.words(first)) … \(Self.words(last)); for samples: "
          + Self.words(ranks.map(\.dataMilliseconds).max() ?? 0) + " at most")
    }
    return lines
  }

  private static func words(_ row: RankRow) -> String { "\(words(row.ranksMilliseconds)) on rank \(row.rank)" }

  static func words(_ milliseconds: Double) -> String { String(format: "%.1f ms", milliseconds) }

  private static let sparkLimit = 24

  /// The last of some numbers as a row of bars.
  private static func sparks(_ values: [Double]) -> String {
    let shown = values.filter(\.isFinite).suffix(sparkLimit)
    guard shown.count > 1, let low = shown.min(), let high = shown.max() else { return "" }
    let (bars, span) = (Array("▁▂▃▄▅▆▇█"), high - low)
    let isDrawn = span > 0 && span.isFinite
    return String(shown.map { bars[isDrawn ? Int(($0 - low) / span * Double(bars.count - 1)) : 0] })
  }
}
