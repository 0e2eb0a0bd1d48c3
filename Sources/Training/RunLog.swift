import Cluster
import Failures
import Foundation
import Logging

/// What a run tells: lines on the terminal and in `log.txt`, and one JSON object a line in `metrics.jsonl`.

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
    let prefix = event.level >= .warning ? "\(event.level): " : ""
    destination.write("\(prefix)\(event.message)\(event.level >= .warning ? destination.place : "")")
  }
}

public final class RunLog: @unchecked Sendable {
  let place: String
  private let speaks: Bool
  private var file: FileHandle?
  private var metrics: FileHandle?
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var hasProgressLine = false
  private var lastProgress = Date.distantPast
  public private(set) var logger: Logger

  /// Plain lines, where there is no terminal, come this often at most.
  private static let sparseSeconds = 10.0
  private static let terminalSeconds = 0.2

  public init(_ cluster: Cluster) {
    place = cluster.place
    speaks = cluster.isRoot
    logger = Logger(label: "ala") { _ in SwiftLogNoOpLogHandler() }
    logger = Logger(label: "ala") { _ in RunLogHandler(destination: self) }
    if !speaks { logger.logLevel = .warning }
  }

  /// Begins to write into a run's folder.
  public func open(folder: String) throws {
    file = try Self.appending("\(folder)/log.txt")
    if speaks { metrics = try Self.appending("\(folder)/metrics.jsonl") }
  }

  private static func appending(_ path: String) throws -> FileHandle {
    let descriptor = Foundation.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw Failure.cannotWrite("\(path): cannot be written: \(String(cString: strerror(errno)))")
    }
    return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
  }

  func write(_ line: String) {
    if hasProgressLine {
      FileHandle.standardError.write(Data("\r\u{1B}[K".utf8))
      hasProgressLine = false
    }
    FileHandle.standardError.write(Data("\(line)\n".utf8))
    try? file?.write(contentsOf: Data("\(line)\n".utf8))
  }

  public func info(_ line: String) { logger.info("\(line)") }
  public func warning(_ line: String) { logger.warning("\(line)") }

  /// Shows how far a long work is: one changing line on a terminal, a plain line now and then elsewhere.
  public func progress(_ done: Int, of total: Int, doing: String, rate: Double, unit: String, detail: String = "") {
    guard speaks else { return }
    let now = Date()
    let isDue = now.timeIntervalSince(lastProgress) >= (isTerminal ? Self.terminalSeconds : Self.sparseSeconds)
    guard isDue || done == total else { return }
    lastProgress = now
    let left = rate > 0 ? Double(total - done) / rate : 0
    let line = String(
      format: "%@ %d/%d  %.1f %@/s  ETA %d:%02d%@", doing, done, total, rate, unit, Int(left) / 60, Int(left) % 60,
      detail.isEmpty ? "" : "  \(detail)")
    if isTerminal {
      FileHandle.standardError.write(Data("\r\u{1B}[K\(line)".utf8))
      hasProgressLine = true
    } else {
      write(line)
    }
  }

  /// Appends one object to `metrics.jsonl`; keys keep their order, nil becomes null.
  public func metric(_ fields: [(String, MetricValue)]) throws {
    guard let metrics else { return }
    let text = fields.map { "\"\($0.0)\":\($0.1.json)" }.joined(separator: ",")
    do {
      try metrics.write(contentsOf: Data("{\(text)}\n".utf8))
    } catch {
      throw Failure.cannotWrite("metrics.jsonl: cannot be written: \(error.localizedDescription)")
    }
  }
}

/// A value in `metrics.jsonl`.
public enum MetricValue: Sendable {
  case text(String)
  case integer(Int)
  case number(Double?)

  var json: String {
    switch self {
    case .text(let text): "\"\(text)\""
    case .integer(let integer): "\(integer)"
    // JSON has no word for what is not finite.
    case .number(let number): number.flatMap { $0.isFinite ? "\($0)" : nil } ?? "null"
    }
  }
}
