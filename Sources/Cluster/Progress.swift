import Foundation
import Machine
import Synchronization

/// What a command is busy with, for the message of a watchdog that ends it.
public enum Activity: Int, Sendable {
  case starting
  case training
  case caching
  case evaluating
  case ending

  /// - Parameter number: the step or pass, from 1; 0 where there is none.
  func description(_ number: Int) -> String {
    let name =
      switch self {
      case .starting: "starting"
      case .training: "training"
      case .caching: "caching features"
      case .evaluating: "evaluating"
      case .ending: "ending"
      }
    return number > 0 ? "\(name), step \(number)" : name
  }
}

/// What a rank waits for other ranks in.
enum Operation: Int, Sendable {
  case none
  case startOfMPI
  case barrier
  case broadcast
  case maximum
  case sum
  case gathering
  case gradients

  var description: String {
    switch self {
    case .none: "nothing"
    case .startOfMPI: "the start of MPI"
    case .barrier: "a barrier"
    case .broadcast: "a broadcast"
    case .maximum: "a maximum over the ranks"
    case .sum: "a sum over the ranks"
    case .gathering: "a gathering of the ranks' values"
    case .gradients: "the sum of the gradients"
    }
  }
}

/// How far a rank has come. The main thread notes it, and the watchdog's thread reads it.
final class Progress: Sendable {
  private let counter = Atomic(0)
  private let operation = Atomic(Operation.none.rawValue)
  private let activity = Atomic(Activity.starting.rawValue)
  private let number = Atomic(0)
  private let waitedNanoseconds = Atomic<UInt64>(0)

  /// Does what waits for other ranks.
  func waiting<Result>(_ operation: Operation, _ body: () throws -> Result) rethrows -> Result {
    self.operation.store(operation.rawValue, ordering: .relaxed)
    let start = DispatchTime.now().uptimeNanoseconds
    defer {
      waitedNanoseconds.wrappingAdd(elapsedNanoseconds(since: start), ordering: .relaxed)
      self.operation.store(Operation.none.rawValue, ordering: .relaxed)
      counter.wrappingAdd(1, ordering: .relaxed)
    }
    return try body()
  }

  func note(_ activity: Activity, _ number: Int) {
    self.activity.store(activity.rawValue, ordering: .relaxed)
    self.number.store(number, ordering: .relaxed)
    counter.wrappingAdd(1, ordering: .relaxed)
  }

  /// How long all that waits for other ranks has taken until now.
  var secondsWaited: Double { Double(waitedNanoseconds.load(ordering: .relaxed)) / 1e9 }

  /// What stands here now.
  var state: ProgressState {
    ProgressState(
      counter: counter.load(ordering: .relaxed), operation: operation.load(ordering: .relaxed),
      activity: activity.load(ordering: .relaxed), number: number.load(ordering: .relaxed))
  }
}

/// A rank's progress at a moment, as it is sent to others.
package struct ProgressState: Equatable, Sendable {
  /// Goes up with everything that is done.
  var counter = 0
  var operation = Operation.none.rawValue
  var activity = Activity.starting.rawValue
  var number = 0

  package init() {}

  init(counter: Int, operation: Int, activity: Int, number: Int) {
    (self.counter, self.operation, self.activity, self.number) = (counter, operation, activity, number)
  }

  var isWaiting: Bool { operation != Operation.none.rawValue }
  var isStarting: Bool { activity == Activity.starting.rawValue }

  /// "training, step 12, waiting in the sum of the gradients".
  var description: String {
    let busy = (Activity(rawValue: activity) ?? .starting).description(number)
    return isWaiting ? "\(busy), waiting in \((Operation(rawValue: operation) ?? .none).description)" : busy
  }
}
