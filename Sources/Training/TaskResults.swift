import Cluster
import Failures
import Tensor

/// What numbered tasks on a team's threads yield, in the order of their numbers.
final class TaskResults<Value>: @unchecked Sendable {
  private let slots: UnsafeMutableBufferPointer<Result<Value, Failure>?>

  init(_ count: Int) {
    slots = .allocate(capacity: count)
    slots.initialize(repeating: nil)
  }

  deinit {
    slots.deinitialize()
    slots.deallocate()
  }

  /// Runs every task; throws the failure of the lowest number that has one.
  func run(_ team: ThreadTeam, _ body: (_ task: Int, _ thread: Int) throws -> Value) throws {
    team.run(slots.count) { task, thread in
      do {
        slots[task] = .success(try body(task, thread))
      } catch {
        slots[task] = .failure(Cluster.failure(of: error))
      }
    }
    for slot in slots { _ = try slot?.get() }
  }

  /// After `run`.
  var values: [Value] { slots.compactMap { try? $0?.get() } }
}
