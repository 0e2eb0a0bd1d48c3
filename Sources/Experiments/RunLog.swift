import Cluster
import Files
import Foundation
import Images
import Logging
import TensorBoard

/// What a run tells: lines on the terminal and in `log.txt`; figures as one JSON object a line in `metrics.jsonl`, and
/// the same as TensorBoard events.

/// Writes log lines to standard error and, once there is a run folder, to its `log.txt`.
struct RunLogHandler: LogHandler {
  let destination: RunLog
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .info

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    guard event.level >= .warning else { return destination.write("\(event.message)", isHeard: !destination.isQuiet) }
    destination.write("\(event.level): \(event.message)\(destination.place)", isWarning: true)
  }
}

/// How much a command says on the terminal; its `log.txt` has everything but what `verbose` adds.
public enum Volume: Sendable {
  /// Warnings and errors alone.
  case quiet
  case usual
  /// What else may help to understand a run.
  case verbose
}

public final class RunLog: @unchecked Sendable {
  let place: String
  let isQuiet: Bool
  public let volume: Volume
  private let speaks: Bool
  private var file: AppendedFile?
  private var metrics: AppendedFile?
  private var events: EventFile?
  private var step = 0
  /// Guards the terminal's line: threads that read samples warn, too.
  private let lock = NSLock()
  private let isTerminal = Terminal.isThere
  private var hasProgressLine = false
  private var told: Set<String> = []
  private var lastProgress = Date.distantPast
  public private(set) var logger: Logger

  /// Plain lines, where there is no terminal, come this often at most.
  private static let sparseSeconds = 10.0
  private static let terminalSeconds = 0.2
  /// Goes back over the terminal's line and clears it.
  private static let lineStart = "\r\u{1B}[K"
  private static let yellow = "\u{1B}[33m"
  private static let plain = "\u{1B}[0m"

  public init(_ cluster: Cluster, volume: Volume = .usual) {
    place = cluster.place
    self.volume = volume
    isQuiet = volume == .quiet
    speaks = cluster.isRoot
    logger = Logger(label: "ala") { _ in SwiftLogNoOpLogHandler() }
    logger = Logger(label: "ala") { _ in RunLogHandler(destination: self) }
    logger.logLevel = !speaks ? .warning : volume == .verbose ? .debug : .info
  }

  /// Begins to write lines into a file of their own.
  public func openText(_ path: String) throws { file = try AppendedFile(path) }

  /// Begins to write into a run's folder.
  public func open(folder: String) throws {
    file = try AppendedFile("\(folder)/log.txt")
    guard speaks else { return }
    metrics = try AppendedFile("\(folder)/metrics.jsonl")
    try makeFolder("\(folder)/tensorboard")
    events = try EventFile(folder: "\(folder)/tensorboard")
  }

  /// Forgets the figures of the run that has been in the folder; its `log.txt` goes on.
  public func beginAnew(folder: String) throws {
    guard speaks else { return }
    try? FileManager.default.removeItem(atPath: "\(folder)/metrics.jsonl")
    try? FileManager.default.removeItem(atPath: "\(folder)/tensorboard")
    try open(folder: folder)
  }

  /// A line that cannot be written is lost: a log never ends a run.
  ///
  /// - Parameters:
  ///   - isHeard: false keeps the line for the file alone.
  ///   - isWarning: whether a terminal shows it in a colour.
  func write(_ line: String, isHeard: Bool = true, isWarning: Bool = false) {
    let line = printable(line)
    lock.lock()
    defer { lock.unlock() }
    if isHeard {
      let shown = isWarning && Terminal.hasColours ? "\(Self.yellow)\(line)\(Self.plain)" : line
      StandardError.write((hasProgressLine ? Self.lineStart : "") + shown + "\n")
      hasProgressLine = false
    }
    try? file?.append("\(line)\n")
  }

  /// Puts into `log.txt` what the program will say at its end of the error that ends it.
  public func keepLastWords(of error: Error, _ cluster: Cluster) {
    guard let words = cluster.lastWords(of: error) else { return }
    lock.withLock { try? file?.append("\(printable(words))\n") }
  }

  public func info(_ line: String) { logger.info("\(line)") }
  /// What only `--verbose` shows.
  public func detail(_ line: String) { logger.debug("\(line)") }

  /// Warns of what every rank finds alike: rank 0 speaks for all.
  public func warning(_ line: String) {
    if speaks { logger.warning("\(line)") }
  }

  /// The same of what is met again and again, the first time.
  public func warnOnce(_ line: String) {
    if lock.withLock({ told.insert(line).inserted }) { warning(line) }
  }

  /// Warns of what this rank alone has met; the line names it.
  public func warningOfRank(_ line: String) { logger.warning("\(line)") }

  /// Shows how far a long work is: one changing line on a terminal, a plain line now and then elsewhere.
  public func progress(_ done: Int, of total: Int, doing: String, rate: Double, unit: String, detail: String = "") {
    guard speaks, !isQuiet else { return }
    let now = Date()
    let isDue = now.timeIntervalSince(lastProgress) >= (isTerminal ? Self.terminalSeconds : Self.sparseSeconds)
    guard isDue || done == total else { return }
    lastProgress = now
    let left = rate > 0 ? Double(total - done) / rate : 0
    let line = String(
      format: "%@ %d/%d  %.1f %@/s  ETA %d:%02d%@", doing, done, total, rate, unit, Int(left) / 60, Int(left) % 60,
      detail.isEmpty ? "" : "  \(detail)")
    if isTerminal {
      lock.lock()
      defer { lock.unlock() }
      StandardError.write("\(Self.lineStart)\(Terminal.fitted(printable(line)))")
      hasProgressLine = true
    } else {
      write(line)
    }
  }

  /// Clears the terminal's changing line, before something else is written there.
  public func endProgress() {
    lock.lock()
    defer { lock.unlock() }
    if hasProgressLine { StandardError.write(Self.lineStart) }
    hasProgressLine = false
  }

  /// Appends one object to `metrics.jsonl`; keys keep their order, nil becomes null.
  public func metric(_ fields: [(String, MetricValue)]) throws {
    guard let metrics else { return }
    let text = fields.map { "\"\($0.0)\":\($0.1.json)" }.joined(separator: ",")
    try metrics.append("{\(text)}\n")
    if let step = fields.integer("step") { self.step = step }
    try events?.write(scalars: Self.scalars(fields), step: step)
  }

  /// The numbers of a `metrics.jsonl` object under TensorBoard's tags: `loss/alpha`, `valid/accuracy/alpha`, `lr`.
  private static func scalars(_ fields: [(String, MetricValue)]) -> [(tag: String, value: Double)] {
    let place = fields.text("split").map { "\($0)/" } ?? ""
    let phase = fields.text("phase").map { "/\($0)" } ?? ""
    return fields.compactMap { name, value in
      switch value {
      case .number(let number?) where number.isFinite:
        (tag: name == "lr" ? name : place + name + phase, value: number)
      case .integer(let integer) where !["epoch", "step"].contains(name):
        (tag: place + name + phase, value: Double(integer))
      default: nil
      }
    }
  }

  /// Appends pictures to the TensorBoard events of the last step.
  ///
  /// - Parameter pictures: by tag.
  public func pictures(_ pictures: [(tag: String, image: RGBImage)]) throws {
    guard let events else { return }
    try events.write(
      pictures: try pictures.map { ($0.tag, try encodePNG($0.image), $0.image.width, $0.image.height) }, step: step)
  }
}

extension [(String, MetricValue)] {
  fileprivate func text(_ name: String) -> String? {
    if case .text(let text)? = first(where: { $0.0 == name })?.1 { text } else { nil }
  }

  fileprivate func integer(_ name: String) -> Int? {
    if case .integer(let integer)? = first(where: { $0.0 == name })?.1 { integer } else { nil }
  }
}

/// A value in `metrics.jsonl`.
public enum MetricValue: Sendable {
  case text(String)
  case integer(Int)
  case number(Double?)
  /// One for each rank.
  case numbers([Double])

  var json: String {
    switch self {
    case .text(let text): "\"\(text)\""
    case .integer(let integer): "\(integer)"
    // JSON has no word for what is not finite.
    case .number(let number): number.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null"
    case .numbers(let numbers): "[\(numbers.map { String(format: "%.3f", $0) }.joined(separator: ","))]"
    }
  }
}
