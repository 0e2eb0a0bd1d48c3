import Experiments
import Failures
import Foundation
import Storage

/// Writes the rows of a caching pass on a thread of its own, so that nobody who encodes waits for the disk while there
/// is room.
///
/// Rows are written as they come and made durable in groups; `FeatureCache.commit` says of a row that it is there only
/// once its bytes are.
final class CacheWriter: @unchecked Sendable {
  /// Rows that are made durable together, and the time after which fewer are.
  private static let rowsPerCommit = 64
  private static let secondsPerCommit = 5.0

  private let cache: FeatureCache
  private let work: FeatureCache.Work
  private let running = DispatchGroup()
  private let payloads: [UnsafeMutableRawBufferPointer]

  /// Guards what follows.
  private let condition = NSCondition()
  private var free: [UnsafeMutableRawBufferPointer]
  private var queue: [(index: Int, payload: UnsafeMutableRawBufferPointer)] = []
  private var isEnding = false
  private var firstFailure: Failure?
  private var durableCount = 0

  /// - Parameter rows: encoded rows that may wait to be written.
  init(_ cache: FeatureCache, _ work: FeatureCache.Work, rows: Int) {
    self.cache = cache
    self.work = work
    payloads = (0..<rows).map { _ in .allocate(byteCount: cache.rowBytes, alignment: 64) }
    free = payloads
    running.enter()
    let thread = Thread { [self] in
      run()
      running.leave()
    }
    thread.name = "ala-write"
    thread.start()
  }

  deinit { payloads.forEach { $0.deallocate() } }

  /// Rows that a kill cannot take away any more.
  var durable: Int { condition.withLock { durableCount } }
  var failure: Failure? { condition.withLock { firstFailure } }

  /// Room for a row; waits for it. nil once writing has failed.
  func room() -> UnsafeMutableRawBufferPointer? {
    condition.lock()
    defer { condition.unlock() }
    while free.isEmpty, firstFailure == nil { condition.wait() }
    return firstFailure == nil ? free.removeLast() : nil
  }

  /// Hands over the row `index` of the work, in room that `room` has given.
  func write(_ index: Int, _ payload: UnsafeMutableRawBufferPointer) {
    condition.lock()
    queue.append((index, payload))
    condition.broadcast()
    condition.unlock()
  }

  /// Writes what has been handed over, makes it durable, and ends the thread.
  func finish() {
    condition.lock()
    isEnding = true
    condition.broadcast()
    condition.unlock()
    running.wait()
  }

  private func run() {
    var written: [Int] = []
    var lastCommit = Date()
    do {
      while true {
        let next = take(until: written.isEmpty ? nil : lastCommit + Self.secondsPerCommit)
        if case .row(let index, let payload) = next {
          if written.isEmpty { lastCommit = Date() }
          try cache.write(work, index, UnsafeRawBufferPointer(payload))
          written.append(index)
          condition.lock()
          free.append(payload)
          condition.broadcast()
          condition.unlock()
          guard written.count == Self.rowsPerCommit || Date() >= lastCommit + Self.secondsPerCommit else { continue }
        }
        try cache.commit(work, written)
        condition.withLock { durableCount += written.count }
        written.removeAll()
        if case .end = next { return }
      }
    } catch {
      condition.lock()
      firstFailure = error as? Failure ?? .internalError("unexpected: \(error)")
      condition.broadcast()
      condition.unlock()
    }
  }

  private enum Next {
    case row(Int, UnsafeMutableRawBufferPointer)
    /// Nothing has come until the given moment.
    case pause
    case end
  }

  private func take(until moment: Date?) -> Next {
    condition.lock()
    defer { condition.unlock() }
    while queue.isEmpty {
      if isEnding { return .end }
      guard let moment else {
        condition.wait()
        continue
      }
      if !condition.wait(until: moment), queue.isEmpty { return .pause }
    }
    let (index, payload) = queue.removeFirst()
    return .row(index, payload)
  }
}
