import Files
import Foundation
import Reporting

/// What a run's `metrics.jsonl` has told until now, read on as the file grows.
struct RunMetrics {
  private var file: TailedFile
  /// In their order; of a step that was made twice, after a resume, the last.
  private(set) var steps: [RunFolder.Line] = []
  private(set) var epochs: [RunFolder.Line] = []
  /// The newest tally of what ranks have waited for.
  private(set) var ranks: RunFolder.Line?
  /// Lines that are no object of a run.
  private(set) var leftOut = 0

  init(_ path: String) { file = TailedFile(path) }

  /// When the file was last written into, in seconds since 1970; nil where there is none.
  var changedAt: Double? {
    var status = stat()
    return stat(file.path, &status) == 0 ? Double(status.st_mtim.tv_sec) : nil
  }

  /// Reads what is new. A line that is no object of a run is left out: this only looks on.
  mutating func look() {
    var file = file
    file.read(
      begin: { (steps, epochs, ranks, leftOut) = ([], [], nil, 0) },
      take: { bytes in
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return 0 }
        for text in bytes[...end].split(separator: UInt8(ascii: "\n")) {
          if let line = RunFolder.Line(json: text) { add(line) } else { leftOut += 1 }
        }
        return bytes.distance(from: bytes.startIndex, to: end) + 1
      })
    self.file = file
  }

  private mutating func add(_ line: RunFolder.Line) {
    switch line.event {
    case "step":
      guard let step = line.step else { return }
      // A run that has gone on from an earlier checkpoint makes the steps behind it again.
      while let last = steps.last?.step, last >= step { steps.removeLast() }
      steps.append(line)
    case "epoch":
      epochs.removeAll { $0.epoch > line.epoch || $0.epoch == line.epoch && $0.split == line.split }
      epochs.append(line)
    case "ranks": ranks = line
    default: break
    }
  }
}
