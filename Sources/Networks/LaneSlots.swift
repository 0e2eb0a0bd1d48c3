import Layers
import Synchronization
import Tensor

/// The lanes' gradients of a range of the arenas, summed by a binary tree over neighbours as lanes end: a slot is held
/// from a lane's beginning until its neighbour's sum is added to, so that with T threads and L lanes about T·log₂ L are
/// needed and not L. The order of the sums is the tree's, whichever lane ends first.
final class LaneSlots: @unchecked Sendable {
  /// The gradient arena: the first lane's gradients are made where the sum belongs.
  private let gradients: Buffer
  /// Floats of a slot.
  private let size: Int

  private struct State {
    var free: [Buffer]
    /// By lane, from the second on.
    var held: [Buffer?]
    /// By the first lane of a sum that waits for its neighbour's: how many lanes it is of; else 0.
    var waiting: [Int]
  }

  private let state: Mutex<State>
  private var range = 0..<0
  private var lanes = 0

  /// - Parameters:
  ///   - size: values of the largest range.
  ///   - lanes: at most.
  init(_ gradients: Buffer, size: Int, lanes: Int, threads: Int) {
    self.gradients = gradients
    self.size = size
    let levels = Int.bitWidth - max(lanes - 1, 0).leadingZeroBitCount
    let expected = min(max(lanes - 1, 0), threads * levels)
    state = Mutex(
      State(
        free: (0..<expected).map { _ in Buffer(size) }, held: Array(repeating: nil, count: lanes),
        waiting: Array(repeating: 0, count: lanes)))
  }

  /// Begins the sums of a range over so many lanes.
  func begin(_ range: Range<Int>, lanes: Int) {
    precondition(range.count <= size)
    self.range = range
    self.lanes = lanes
    // A rank without lanes adds nothing to the others' sum.
    if lanes == 0 { clear(gradients.base + range.lowerBound, range.count) }
  }

  /// Room for a lane's gradients, zeros. Safe from several threads, each for its own lane.
  func slot(_ lane: Int) -> GradientSlot {
    if lane > 0 {
      state.withLock { state in
        precondition(state.held[lane] == nil)
        state.held[lane] = state.free.popLast() ?? Buffer(size)
      }
    }
    let values = values(lane)
    Profile.of(.laneSums) { clear(values, range.count) }
    return GradientSlot(base: values, origin: range.lowerBound)
  }

  /// Adds up what a lane that has ended completes. Safe from several threads.
  func end(_ lane: Int) {
    var (first, count) = (lane, 1)
    while count < lanes {
      let left = first - first % (2 * count)
      let right = left + count
      if right < lanes {
        guard isSecond(first, neighbour: first == left ? right : left, of: count) else { return }
        Profile.of(.laneSums) { accumulate(values(left), values(right), range.count) }
        state.withLock { state in
          if let buffer = state.held[right] { state.free.append(buffer) }
          state.held[right] = nil
        }
      }
      (first, count) = (left, 2 * count)
    }
  }

  /// Whether the sum's neighbour has been waiting for it; else it waits itself.
  private func isSecond(_ first: Int, neighbour: Int, of count: Int) -> Bool {
    state.withLock { state in
      guard state.waiting[neighbour] == count else {
        state.waiting[first] = count
        return false
      }
      state.waiting[neighbour] = 0
      return true
    }
  }

  private func values(_ lane: Int) -> Floats {
    guard lane > 0 else { return gradients.base + range.lowerBound }
    return state.withLock { state in
      guard let buffer = state.held[lane] else { preconditionFailure("lane \(lane) holds no gradients") }
      return buffer.base
    }
  }
}
