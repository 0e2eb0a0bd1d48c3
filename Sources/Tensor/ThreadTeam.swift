import Foundation
import Synchronization

/// A fixed set of threads that run numbered tasks. Which thread runs which task is left open; no result depends
/// on it, for a task writes only what is its own (docs/model.md, "Lanes": a lane runs on one thread).
public final class ThreadTeam: @unchecked Sendable {
  public let threadCount: Int

  private let work = Work()
  private var threads: [pthread_t] = []

  public init(threads count: Int) {
    threadCount = max(1, count)
    for index in stride(from: 1, to: threadCount, by: 1) {
      var thread = pthread_t()
      let worker = Unmanaged.passRetained(Worker(work: work, index: index))
      let status = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          let worker = Unmanaged<Worker>.fromOpaque(argument).takeRetainedValue()
          worker.work.loop(thread: worker.index)
          return nil
        }, worker.toOpaque())
      if status == 0 { threads.append(thread) } else { worker.release() }
    }
  }

  deinit {
    work.stop()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Runs `body(0, thread)` … `body(tasks - 1, thread)`, each once, on the team's threads and the caller's; returns
  /// when all are done. `thread` (0..<threadCount) tells which scratch a task may use. Not reentrant.
  public func run(_ tasks: Int, _ body: (_ task: Int, _ thread: Int) -> Void) {
    if threads.isEmpty || tasks <= 1 {
      for task in 0..<tasks { body(task, 0) }
      return
    }
    withoutActuallyEscaping(body) { work.run(tasks, $0, workers: threads.count) }
  }

  private final class Worker {
    let work: Work
    let index: Int

    init(work: Work, index: Int) {
      self.work = work
      self.index = index
    }
  }

  /// What the threads share. Workers hold this and not their team: one that took a reference to the team for a moment could
  /// be the last to have one, and would have to wait for its own end.
  private final class Work: @unchecked Sendable {
    private let next = Atomic<Int>(0)
    private let running = Atomic<Int>(0)
    private let generation = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private var taskCount = 0
    private var body: ((Int, Int) -> Void)?
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    /// Polls of a worker before it sleeps: a few microseconds, about the gap between two kernels of a step.
    private static let spins = 4_000

    init() {
      pthread_mutex_init(mutex, nil)
      pthread_cond_init(wake, nil)
    }

    deinit {
      pthread_cond_destroy(wake)
      pthread_mutex_destroy(mutex)
      wake.deallocate()
      mutex.deallocate()
    }

    private func wakeAll() {
      pthread_mutex_lock(mutex)
      generation.add(1, ordering: .sequentiallyConsistent)
      pthread_cond_broadcast(wake)
      pthread_mutex_unlock(mutex)
    }

    func stop() {
      stopping.store(true, ordering: .sequentiallyConsistent)
      wakeAll()
    }

    /// On the caller's thread.
    func run(_ tasks: Int, _ body: @escaping (Int, Int) -> Void, workers: Int) {
      self.body = body
      taskCount = tasks
      next.store(0, ordering: .relaxed)
      running.store(workers, ordering: .sequentiallyConsistent)
      wakeAll()
      drain(body, thread: 0)
      var polls = 0
      while running.load(ordering: .acquiring) > 0 {
        polls += 1
        if polls > Self.spins { sched_yield() }
      }
      self.body = nil
    }

    private func drain(_ body: (Int, Int) -> Void, thread: Int) {
      while true {
        let task = next.add(1, ordering: .relaxed).oldValue
        if task >= taskCount { return }
        body(task, thread)
      }
    }

    /// On a worker's thread, until the team ends.
    func loop(thread index: Int) {
      var seen = 0
      while true {
        var polls = 0
        while generation.load(ordering: .acquiring) == seen {
          polls += 1
          if polls < Self.spins { continue }
          pthread_mutex_lock(mutex)
          while generation.load(ordering: .acquiring) == seen { pthread_cond_wait(wake, mutex) }
          pthread_mutex_unlock(mutex)
        }
        seen += 1
        if stopping.load(ordering: .sequentiallyConsistent) { return }
        if let body { drain(body, thread: index) }
        running.subtract(1, ordering: .acquiringAndReleasing)
      }
    }
  }
}
