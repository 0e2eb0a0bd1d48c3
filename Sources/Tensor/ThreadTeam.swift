import Foundation
import Synchronization

/// A fixed set of threads that run numbered tasks. Which thread runs which task is left open; no result depends
/// on it, for a task writes only what is its own (docs/model.md, "Lanes": a lane runs on one thread).
public final class ThreadTeam: @unchecked Sendable {
  public let threadCount: Int

  private let next = Atomic<Int>(0)
  private let running = Atomic<Int>(0)
  private let generation = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private var taskCount = 0
  private var body: ((Int, Int) -> Void)?
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let wake = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var threads: [pthread_t] = []

  /// Polls of a worker before it sleeps: a few microseconds, about the gap between two kernels of a step.
  private static let spins = 4_000

  public init(threads count: Int) {
    threadCount = max(1, count)
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(wake, nil)
    for index in stride(from: 1, to: threadCount, by: 1) {
      var thread = pthread_t()
      let worker = Unmanaged.passRetained(Worker(team: self, index: index))
      let status = pthread_create(
        &thread, nil,
        { argument in
          guard let argument else { return nil }
          Unmanaged<Worker>.fromOpaque(argument).takeRetainedValue().loop()
          return nil
        }, worker.toOpaque())
      if status == 0 { threads.append(thread) } else { worker.release() }
    }
  }

  deinit {
    stopping.store(true, ordering: .sequentiallyConsistent)
    pthread_mutex_lock(mutex)
    generation.add(1, ordering: .sequentiallyConsistent)
    pthread_cond_broadcast(wake)
    pthread_mutex_unlock(mutex)
    for thread in threads { pthread_join(thread, nil) }
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(mutex)
    wake.deallocate()
    mutex.deallocate()
  }

  /// Runs `body(0, thread)` … `body(tasks - 1, thread)`, each once, on the team's threads and the caller's; returns
  /// when all are done. `thread` (0..<threadCount) tells which scratch a task may use. Not reentrant.
  public func run(_ tasks: Int, _ body: (_ task: Int, _ thread: Int) -> Void) {
    if threads.isEmpty || tasks <= 1 {
      for task in 0..<tasks { body(task, 0) }
      return
    }
    withoutActuallyEscaping(body) { body in
      self.body = body
      taskCount = tasks
      next.store(0, ordering: .relaxed)
      running.store(threads.count, ordering: .sequentiallyConsistent)
      pthread_mutex_lock(mutex)
      generation.add(1, ordering: .sequentiallyConsistent)
      pthread_cond_broadcast(wake)
      pthread_mutex_unlock(mutex)
      drain(body, thread: 0)
      var polls = 0
      while running.load(ordering: .acquiring) > 0 {
        polls += 1
        if polls > Self.spins { sched_yield() }
      }
      self.body = nil
    }
  }

  private func drain(_ body: (Int, Int) -> Void, thread: Int) {
    while true {
      let task = next.add(1, ordering: .relaxed).oldValue
      if task >= taskCount { return }
      body(task, thread)
    }
  }

  /// A worker holds its team unowned, so that the team can end.
  private final class Worker {
    unowned(unsafe) let team: ThreadTeam
    let index: Int

    init(team: ThreadTeam, index: Int) {
      self.team = team
      self.index = index
    }

    func loop() {
      var seen = 0
      while true {
        var polls = 0
        while team.generation.load(ordering: .acquiring) == seen {
          polls += 1
          if polls < ThreadTeam.spins { continue }
          pthread_mutex_lock(team.mutex)
          while team.generation.load(ordering: .acquiring) == seen { pthread_cond_wait(team.wake, team.mutex) }
          pthread_mutex_unlock(team.mutex)
        }
        seen += 1
        if team.stopping.load(ordering: .sequentiallyConsistent) { return }
        if let body = team.body { team.drain(body, thread: index) }
        team.running.subtract(1, ordering: .acquiringAndReleasing)
      }
    }
  }
}
