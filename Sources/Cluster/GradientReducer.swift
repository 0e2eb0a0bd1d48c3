import CMPI
import Foundation
import Machine

/// Sums a step's gradients over the ranks, segment by segment as the backward pass makes them, on a thread of its own:
/// what has been made is on its way while the rest is computed. The sum of an element does not depend on when its
/// segment is summed, nor on the others (`TreeSum`).
///
/// Where MPI allows no second thread, segments are summed by `finish`.
public final class GradientReducer: @unchecked Sendable {
  private let base: UnsafeMutablePointer<Float>
  private let tree: TreeSum
  private let isAlone: Bool
  private let progress: Progress
  private var thread: pthread_t?

  // Guarded by `mutex`.
  private var queue: [Range<Int>] = []
  private var next = 0
  private var isIdle = true
  private var isStopping = false
  private var nanoseconds: UInt64 = 0
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let changed = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  /// What the sums of a step have cost.
  public struct Cost: Sendable {
    /// Milliseconds from a segment's first message to its last, over all segments.
    public var milliseconds: Double
    /// Of them, those that `finish` has waited.
    public var waitMilliseconds: Double
  }

  /// Call on every rank; one reducer at a time.
  ///
  /// - Parameters:
  ///   - base: the gradient arena; ranges given to `start` are offsets into it.
  ///   - largest: the most values of a segment.
  public init(_ cluster: Cluster, base: UnsafeMutablePointer<Float>, largest: Int) {
    self.base = base
    isAlone = cluster.size == 1
    progress = cluster.progress
    tree = TreeSum(
      rank: cluster.rank, size: cluster.size, communicator: cluster.reducersCommunicator(),
      capacity: isAlone ? 0 : largest)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(changed, nil)
    queue.reserveCapacity(64)
    guard cluster.size > 1 && cluster.allowsThreads else { return }
    var thread = pthread_t()
    // The thread is joined by `deinit`, so it never outlives what it points to.
    let status = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<GradientReducer>.fromOpaque(argument).takeUnretainedValue().loop()
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    if status == 0 { self.thread = thread }
  }

  deinit {
    if let thread {
      pthread_mutex_lock(mutex)
      isStopping = true
      pthread_cond_broadcast(changed)
      pthread_mutex_unlock(mutex)
      pthread_join(thread, nil)
    }
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(changed)
    mutex.deallocate()
    changed.deallocate()
  }

  /// Begins the sum of a range of gradients, which this rank leaves alone until `finish` has returned. Every rank
  /// starts the same ranges in the same order.
  public func start(_ range: Range<Int>) {
    guard !isAlone, !range.isEmpty else { return }
    pthread_mutex_lock(mutex)
    queue.append(range)
    isIdle = false
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(mutex)
  }

  /// Waits until every range that has been started is summed.
  public func finish() -> Cost {
    guard !isAlone else { return Cost(milliseconds: 0, waitMilliseconds: 0) }
    return progress.waiting(.gradients) { finishQueue() }
  }

  private func finishQueue() -> Cost {
    let start = DispatchTime.now().uptimeNanoseconds
    if thread == nil {
      for range in queue { sum(range) }
      isIdle = true
    }
    pthread_mutex_lock(mutex)
    while !isIdle { pthread_cond_wait(changed, mutex) }
    let cost = Cost(
      milliseconds: Double(nanoseconds) / 1e6,
      waitMilliseconds: Double(elapsedNanoseconds(since: start)) / 1e6)
    nanoseconds = 0
    queue.removeAll(keepingCapacity: true)
    next = 0
    pthread_mutex_unlock(mutex)
    return cost
  }

  private func sum(_ range: Range<Int>) {
    let start = DispatchTime.now().uptimeNanoseconds
    tree.sum(base + range.lowerBound, count: range.count)
    nanoseconds += elapsedNanoseconds(since: start)
  }

  private func loop() {
    pthread_mutex_lock(mutex)
    while true {
      while next == queue.count && !isStopping { pthread_cond_wait(changed, mutex) }
      if isStopping { break }
      let range = queue[next]
      next += 1
      pthread_mutex_unlock(mutex)
      sum(range)
      pthread_mutex_lock(mutex)
      if next == queue.count {
        isIdle = true
        pthread_cond_broadcast(changed)
      }
    }
    pthread_mutex_unlock(mutex)
  }
}
