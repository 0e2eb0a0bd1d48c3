import Cluster
import Failures
import Foundation

/// Samples read by threads of their own, ahead of who works on them, in a given order: from the cache or the image
/// files, checked, decoded and rendered. Training, the caching pass and the evaluation all read through this.
///
/// What could not be read is a row with a failure, met when its turn comes and never before: a broken image that no
/// step reaches stops no run. Memory is that of the rows; nothing is allocated afterwards for cached ones.
public final class ReadAhead {
  private let shared: Shared

  /// Begins to read.
  ///
  /// - Parameters:
  ///   - rows: how many samples may be read and not yet given back.
  ///   - threads: that read.
  ///   - next: the requests in order; nil ends them. Called by one thread at a time.
  public init(_ source: SampleSource, rows: Int, threads: Int, next: @escaping () -> SampleRequest?) {
    shared = Shared(source, rows: max(1, rows), next: next)
    for index in 0..<max(1, threads) {
      let shared = shared
      shared.running.enter()
      let thread = Thread {
        shared.read()
        shared.running.leave()
      }
      thread.name = "ala-read-\(index)"
      thread.start()
    }
  }

  /// Waits for what is being read at this moment; the rest stays unread.
  deinit { shared.stop() }

  /// The next sample, once it has been read; nil after the last. Safe from several threads; each gets another.
  public func take() -> SampleRow? { shared.take() }

  /// Frees a row's room for further reading.
  public func giveBack(_ row: SampleRow) { shared.giveBack(row) }

  /// What reader threads and takers share; the condition guards all of it.
  private final class Shared: @unchecked Sendable {
    let running = DispatchGroup()
    private let source: SampleSource
    private let next: () -> SampleRequest?
    private let condition = NSCondition()
    private var free: [SampleRow]
    private var ready: [Int: SampleRow] = [:]
    private var begun = 0
    private var taken = 0
    private var hasEnded = false
    private var isStopping = false

    init(_ source: SampleSource, rows: Int, next: @escaping () -> SampleRequest?) {
      self.source = source
      self.next = next
      free = (0..<rows).map { _ in source.makeRow() }
      ready.reserveCapacity(rows)
    }

    func read() {
      while let row = begin() {
        do {
          try source.read(row.request, into: row)
          row.failure = nil
        } catch {
          row.failure = Cluster.failure(of: error)
        }
        condition.lock()
        ready[row.number] = row
        condition.broadcast()
        condition.unlock()
      }
    }

    /// A free row for the next request; nil where nothing is left to read.
    private func begin() -> SampleRow? {
      condition.lock()
      defer { condition.unlock() }
      while free.isEmpty, !isStopping, !hasEnded { condition.wait() }
      guard !isStopping, !hasEnded else { return nil }
      guard let request = next() else {
        hasEnded = true
        condition.broadcast()
        return nil
      }
      let row = free.removeLast()
      row.request = request
      row.number = begun
      begun += 1
      return row
    }

    func take() -> SampleRow? {
      condition.lock()
      defer { condition.unlock() }
      let index = taken
      taken += 1
      while true {
        if let row = ready.removeValue(forKey: index) { return row }
        if hasEnded && index >= begun { return nil }
        condition.wait()
      }
    }

    func giveBack(_ row: SampleRow) {
      condition.lock()
      free.append(row)
      condition.broadcast()
      condition.unlock()
    }

    func stop() {
      condition.lock()
      isStopping = true
      condition.broadcast()
      condition.unlock()
      running.wait()
    }
  }
}
