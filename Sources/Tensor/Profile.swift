import Foundation

/// What a kernel does; raw values are the names in the table.
public enum KernelKind: String, CaseIterable, Sendable {
  case product = "products"
  case softmax
  case norm = "layer norm"
  case activation
  case elementwise = "element-wise"
  case gather
  case batchNorm = "batch norm"
  case pooling
  case optimizer
}

/// What a thread works on, or waits for; declared where the work is.
public struct ProfiledPart: Sendable {
  fileprivate let row: Int

  /// - Parameter name: the part's name in the table, where parts stand in the order in which they were declared.
  public init(_ name: String) { row = Profile.row(of: name) }
}

/// Where the time goes: by kind of kernel, by part of the model, and in waiting. Off unless `Profile.begin` is called;
/// then a kernel costs two readings of the clock more.
public enum Profile {
  /// Read by every kernel; changed only while no kernel runs.
  nonisolated(unsafe) static var isOn = false
  private nonisolated(unsafe) static var startedAt: UInt64 = 0
  private nonisolated(unsafe) static var threads: [ThreadTimes] = []
  /// The declared parts' names, by row.
  private nonisolated(unsafe) static var parts: [String] = []
  /// More parts than all networks together declare: the threads' tables are made before the last is known.
  fileprivate static let mostParts = 64
  private static let mutex = NSLock()
  private static let key: pthread_key_t = {
    var key = pthread_key_t()
    pthread_key_create(&key, nil)
    return key
  }()

  /// One thread's nanoseconds. Parts exclude each other: a part inside another stops its clock.
  fileprivate final class ThreadTimes {
    static let kinds = KernelKind.allCases.count
    static let columns = Dictionary(uniqueKeysWithValues: zip(KernelKind.allCases, 0...))
    /// What belongs to no part.
    static let rest = Profile.mostParts
    /// [parts + 1, kinds], the last row for what belongs to no part.
    let kernels = UnsafeMutablePointer<UInt64>.allocate(capacity: (rest + 1) * kinds)
    let totals = UnsafeMutablePointer<UInt64>.allocate(capacity: rest + 1)
    var part = ThreadTimes.rest
    var since: UInt64 = 0
    /// Kernels call one another; only the outermost counts.
    var depth = 0

    init() { clear() }

    func clear() {
      kernels.initialize(repeating: 0, count: (Self.rest + 1) * Self.kinds)
      totals.initialize(repeating: 0, count: Self.rest + 1)
      since = Profile.now()
    }
  }

  fileprivate static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  fileprivate static var own: ThreadTimes {
    if let pointer = pthread_getspecific(key) {
      return Unmanaged<ThreadTimes>.fromOpaque(pointer).takeUnretainedValue()
    }
    let times = ThreadTimes()
    mutex.lock()
    // The list keeps it for the process's life, as it may be read after the thread's end.
    threads.append(times)
    mutex.unlock()
    pthread_setspecific(key, Unmanaged.passUnretained(times).toOpaque())
    return times
  }

  /// The row of a part: a new one for a new name.
  fileprivate static func row(of part: String) -> Int {
    mutex.withLock {
      if let row = parts.firstIndex(of: part) { return row }
      precondition(parts.count < mostParts)
      parts.append(part)
      return parts.count - 1
    }
  }

  /// Begins anew. Call while no other thread runs kernels.
  public static func begin() {
    mutex.lock()
    threads.forEach { $0.clear() }
    mutex.unlock()
    startedAt = now()
    isOn = true
  }

  /// Ends it.
  ///
  /// - Parameter threadCount: the threads that could have worked all the time.
  public static func end(threads threadCount: Int) -> ProfileReport {
    isOn = false
    let wall = now() - startedAt
    mutex.lock()
    defer { mutex.unlock() }
    func seconds(_ value: (ThreadTimes) -> UInt64) -> Double { threads.reduce(0) { $0 + Double(value($1)) } / 1e9 }
    let parts = parts.enumerated().map { row, name in
      ProfileReport.Part(
        name: name, seconds: seconds { $0.totals[row] },
        kernels: Dictionary(
          uniqueKeysWithValues: ThreadTimes.columns.map { kind, column in
            (kind.rawValue, seconds { $0.kernels[row * ThreadTimes.kinds + column] })
          }))
    }
    return ProfileReport(wallSeconds: Double(wall) / 1e9, threads: threadCount, parts: parts)
  }

  /// Counts `body` as work of a part, on this thread.
  @inline(__always)
  public static func of<Result>(_ part: ProfiledPart, _ body: () throws -> Result) rethrows -> Result {
    guard isOn else { return try body() }
    let times = own
    let outer = times.part
    enter(times, part.row)
    defer { enter(times, outer) }
    return try body()
  }

  fileprivate static func enter(_ times: ThreadTimes, _ part: Int) {
    let time = now()
    times.totals[times.part] += time - times.since
    times.since = time
    times.part = part
  }
}

/// Counts `body` as a kernel of a kind, on this thread.
@inline(__always)
func profiled<Result>(_ kind: KernelKind, _ body: () -> Result) -> Result {
  guard Profile.isOn else { return body() }
  let times = Profile.own
  times.depth += 1
  defer { times.depth -= 1 }
  guard times.depth == 1 else { return body() }
  let start = Profile.now()
  let result = body()
  let column = Profile.ThreadTimes.columns[kind, default: 0]
  times.kernels[times.part * Profile.ThreadTimes.kinds + column] += Profile.now() - start
  return result
}

/// What a profile has found, in thread-seconds.
public struct ProfileReport: Codable, Sendable {
  public struct Part: Codable, Sendable {
    public let name: String
    public let seconds: Double
    /// By kind; what is left of `seconds` was spent between kernels.
    public let kernels: [String: Double]
  }

  public let wallSeconds: Double
  public let threads: Int
  public let parts: [Part]

  enum CodingKeys: String, CodingKey {
    case threads, parts
    case wallSeconds = "wall_s"
  }

  /// A table in per cent of what all threads could have done.
  public var table: String {
    let whole = wallSeconds * Double(threads)
    func percent(_ seconds: Double) -> String { String(format: "%6.1f", 100 * seconds / max(whole, 1e-12)) }
    let kinds = KernelKind.allCases.map(\.rawValue)
    func row(_ name: String, _ cells: [String]) -> String {
      name.padding(toLength: 20, withPad: " ", startingAt: 0)
        + cells.map { String(repeating: " ", count: max(0, 13 - $0.count)) + $0 }.joined()
    }
    var lines = [row("% of thread time", ["all"] + kinds + ["between"])]
    for part in parts where part.seconds > 0 {
      let inKernels = part.kernels.values.reduce(0, +)
      lines.append(
        row(
          part.name,
          [percent(part.seconds)] + kinds.map { percent(part.kernels[$0] ?? 0) } + [percent(part.seconds - inKernels)]))
    }
    let busy = parts.reduce(0) { $0 + $1.seconds }
    lines.append(row("idle, and the rest", [percent(whole - busy)]))
    let sums = kinds.map { kind in percent(parts.reduce(0) { $0 + ($1.kernels[kind] ?? 0) }) }
    lines.append(row("all", [percent(whole)] + sums))
    return lines.joined(separator: "\n")
  }
}
