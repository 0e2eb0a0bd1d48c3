import CMPI
import Foundation

/// Sums float32 values over all ranks, with the same bits on all of them.
///
/// For a power of two the sum is the binary tree that pairs neighbours first, ((r0 + r1) + (r2 + r3)): a
/// reduce-scatter by recursive halving, then an all-gather by recursive doubling. Otherwise the ranks beyond the
/// largest power of two first hand their values to a partner, and get the sum back at the end: one fixed order, too,
/// but not that of another world size. An element's sum never depends on which others are summed with it.
final class TreeSum {
  private let rank: Int
  private let size: Int
  private let communicator: MPI_Comm?
  private let scratch: UnsafeMutablePointer<Float>
  private let capacity: Int
  /// Of recursive halving, kept so that a sum allocates nothing.
  private var halves: [(start: Int, length: Int)] = []

  /// Polls of a message before the thread begins to sleep between them, and for how long: the processor belongs to
  /// the kernels.
  private static let polls = 50
  private static let pauseMicroseconds: UInt32 = 50

  /// - Parameter capacity: the most values of one sum.
  init(rank: Int, size: Int, communicator: MPI_Comm?, capacity: Int) {
    self.rank = rank
    self.size = size
    self.communicator = communicator
    self.capacity = capacity
    scratch = .allocate(capacity: max(capacity, 1))
    halves.reserveCapacity(Int.bitWidth)
  }

  deinit { scratch.deallocate() }

  func sum(_ values: UnsafeMutablePointer<Float>, count: Int) {
    precondition(count <= capacity)
    guard size > 1, count > 0 else { return }
    var power = 1
    while power * 2 <= size { power *= 2 }
    let extra = size - power
    if rank >= power {
      exchange(values, count, nil, 0, with: rank - power)
      exchange(nil, 0, values, count, with: rank - power)
      return
    }
    if rank < extra {
      exchange(nil, 0, scratch, count, with: rank + power)
      add(values, scratch, count)
    }
    reduceAndGather(values, count: count, power: power)
    if rank < extra { exchange(values, count, nil, 0, with: rank + power) }
  }

  private func reduceAndGather(_ values: UnsafeMutablePointer<Float>, count: Int, power: Int) {
    var start = 0
    var length = count
    halves.removeAll(keepingCapacity: true)
    var distance = 1
    while distance < power {
      let lower = length / 2
      halves.append((start, length))
      let keepsLower = rank & distance == 0
      let keep = keepsLower ? (start, lower) : (start + lower, length - lower)
      let give = keepsLower ? (start + lower, length - lower) : (start, lower)
      exchange(values + give.0, give.1, scratch, keep.1, with: rank ^ distance)
      add(values + keep.0, scratch, keep.1)
      (start, length) = keep
      distance *= 2
    }
    while distance > 1 {
      distance /= 2
      let whole = halves.removeLast()
      let lower = whole.length / 2
      let hasLower = rank & distance == 0
      let other = hasLower ? (whole.start + lower, whole.length - lower) : (whole.start, lower)
      exchange(values + start, length, values + other.0, other.1, with: rank ^ distance)
      (start, length) = whole
    }
  }

  private func add(_ values: UnsafeMutablePointer<Float>, _ others: UnsafeMutablePointer<Float>, _ count: Int) {
    for i in 0..<count { values[i] += others[i] }
  }

  /// Sends and receives at once; either may be nil.
  private func exchange(
    _ sent: UnsafeMutablePointer<Float>?, _ sentCount: Int, _ received: UnsafeMutablePointer<Float>?, _ count: Int,
    with partner: Int
  ) {
    var requests = (ala_mpi_request_null(), ala_mpi_request_null())
    if let received { MPI_Irecv(received, Int32(count), ala_mpi_float(), Int32(partner), 0, communicator, &requests.0) }
    if let sent { MPI_Isend(sent, Int32(sentCount), ala_mpi_float(), Int32(partner), 0, communicator, &requests.1) }
    withUnsafeMutableBytes(of: &requests) { bytes in
      let pair = bytes.bindMemory(to: MPI_Request?.self)
      var isDone: Int32 = 0
      var polls = 0
      while true {
        MPI_Testall(2, pair.baseAddress, &isDone, ala_mpi_statuses_ignore())
        if isDone != 0 { break }
        polls += 1
        if polls > Self.polls { usleep(Self.pauseMicroseconds) }
      }
    }
  }
}
