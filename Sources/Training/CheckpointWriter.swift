import Experiments
import Failures
import Foundation
import Layers
import Storage
import Synchronization

/// Writes checkpoints beside the steps, on a thread of its own, one at a time. A step waits for a copy of the state alone,
/// and for the checkpoint before it if that is still being written.
///
/// What cannot be written is known to `failure` from then on, and thrown by whatever is called next. Used by one thread.
public final class CheckpointWriter: @unchecked Sendable {
  private let folder: CheckpointFolder
  /// The state that is being written: as much memory again as the trained tensors and their moments take, for the run's
  /// whole time.
  private let copy: ParameterCopy
  private let running = DispatchGroup()
  private let shared = Mutex(Shared())

  private struct Shared {
    var isBusy = false
    var failure: Failure?
    /// Why an older checkpoint could not be removed.
    var reasonOfOldOnes: String?
    var hasToldOfOldOnes = false
  }

  public init(_ folder: CheckpointFolder, of store: ParameterStore) {
    self.folder = folder
    copy = ParameterCopy(of: store)
  }

  /// Whether a checkpoint is being written at this moment.
  public var isBusy: Bool { shared.withLock { $0.isBusy } }
  /// Why a checkpoint could not be written.
  public var failure: Failure? { shared.withLock { $0.failure } }

  /// Why older checkpoints could not be removed; once, and nil from then on.
  public func takeReasonOfOldOnes() -> String? {
    shared.withLock {
      guard !$0.hasToldOfOldOnes, let reason = $0.reasonOfOldOnes else { return nil }
      $0.hasToldOfOldOnes = true
      return reason
    }
  }

  /// Copies the state as it is now and begins to write it.
  ///
  /// - Parameters:
  ///   - isBest: makes it `best.h5`.
  ///   - bestStep: of the best checkpoint so far, which stays.
  /// - Throws: `Failure` 73 where the checkpoint before it could not be written; this one is not begun then.
  public func begin(
    step: Int, attributes: [String: HDF5Attribute], isBest: Bool, bestStep: Int?
  ) throws {
    try finish()
    copy.take()
    let contents = checkpointContents(copy, attributes: attributes)
    shared.withLock { $0.isBusy = true }
    running.enter()
    let thread = Thread { [self] in
      var failure: Failure?
      var reason: String?
      do {
        reason = try folder.write(contents, step: step, isBest: isBest, bestStep: bestStep)
      } catch {
        failure = error as? Failure ?? .internalError("unexpected: \(error)")
      }
      shared.withLock {
        ($0.isBusy, $0.failure) = (false, failure)
        $0.reasonOfOldOnes = $0.reasonOfOldOnes ?? reason
      }
      running.leave()
    }
    thread.name = "ala-checkpoint"
    thread.start()
  }

  /// Waits until nothing is being written any more. Before the process ends, however it ends.
  public func wait() { running.wait() }

  /// Waits until what has been begun is whole and durable under its name.
  ///
  /// - Throws: `Failure` 73 where it could not be written.
  public func finish() throws {
    wait()
    if let failure { throw failure }
  }
}
