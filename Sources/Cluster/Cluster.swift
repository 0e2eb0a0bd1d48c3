import CMPI
import Failures
import Foundation

/// The processes of a run: MPI under `mpirun`, or this process alone. Every collective here is called by all ranks,
/// in the same order, from one thread.
public final class Cluster: @unchecked Sendable {
  public let rank: Int
  public let size: Int
  /// This rank among those of its machine.
  public let localRank: Int
  public let localSize: Int
  public let host: String

  /// Bytes that this rank has sent: gradients, and all else.
  public private(set) var gradientBytesSent = 0
  public private(set) var otherBytesSent = 0

  /// What `share` has last thrown: a failure that every rank knows of.
  public internal(set) var agreedFailure: Failure?

  private let usesMPI: Bool
  private let world: MPI_Comm?
  private let node: MPI_Comm?
  private var scratch: UnsafeMutablePointer<Float>?
  private var scratchCount = 0

  /// What launchers set in the environment of the processes they start.
  private static let launcherMarks = ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"]

  /// Joins the run. Without a launcher MPI is not started at all.
  ///
  /// - Throws: `Failure` 69 where MPI cannot start.
  public init() throws {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard Self.launcherMarks.contains(where: { getenv($0) != nil }) else {
      usesMPI = false
      (rank, size, localRank, localSize) = (0, 1, 0, 1)
      (world, node) = (nil, nil)
      return
    }
    var provided: Int32 = 0
    guard MPI_Init_thread(nil, nil, Int32(MPI_THREAD_FUNNELED), &provided) == 0 else {
      throw Failure.unavailable("MPI cannot start on \(host)")
    }
    usesMPI = true
    let world = ala_mpi_comm_world()
    var node: MPI_Comm?
    var values: (Int32, Int32, Int32, Int32) = (0, 1, 0, 1)
    MPI_Comm_rank(world, &values.0)
    MPI_Comm_size(world, &values.1)
    MPI_Comm_split_type(world, ala_mpi_comm_type_shared(), values.0, ala_mpi_info_null(), &node)
    MPI_Comm_rank(node, &values.2)
    MPI_Comm_size(node, &values.3)
    self.world = world
    self.node = node
    (rank, size, localRank, localSize) = (Int(values.0), Int(values.1), Int(values.2), Int(values.3))
  }

  deinit { scratch?.deallocate() }

  public var isRoot: Bool { rank == 0 }

  /// " (rank 2 on host a)", where there are several ranks: for messages.
  public var place: String { size > 1 ? " (rank \(rank) on \(host))" : "" }

  /// Leaves MPI behind a barrier, so that every rank's files are done before `mpirun` ends.
  public func finish() {
    guard usesMPI else { return }
    MPI_Barrier(world)
    MPI_Finalize()
  }

  /// Ends every rank at once: for a fault that the others cannot be told of otherwise.
  public func abort(_ code: ExitCode) {
    if usesMPI { MPI_Abort(world, code.rawValue) }
  }

  // MARK: Collectives

  public func barrier() {
    if size > 1 { MPI_Barrier(world) }
  }

  /// A barrier among the ranks of this machine.
  func machineBarrier() {
    if localSize > 1 { MPI_Barrier(node) }
  }

  /// Overwrites `bytes` on every rank with the machine's local rank 0's.
  func machineBroadcast(_ bytes: inout [UInt8]) {
    guard localSize > 1 else { return }
    var count = Int64(bytes.count)
    MPI_Bcast(&count, 1, ala_mpi_int64(), 0, node)
    if localRank != 0 { bytes = [UInt8](repeating: 0, count: Int(count)) }
    MPI_Bcast(&bytes, Int32(count), ala_mpi_byte(), 0, node)
  }

  /// Overwrites `bytes` on every rank with rank `root`'s.
  public func broadcast(_ bytes: inout [UInt8], root: Int = 0) {
    guard size > 1 else { return }
    var count = Int64(bytes.count)
    MPI_Bcast(&count, 1, ala_mpi_int64(), Int32(root), world)
    if rank != root { bytes = [UInt8](repeating: 0, count: Int(count)) }
    bytes.withUnsafeMutableBytes { buffer in
      var offset = 0
      while offset < buffer.count {
        let step = min(1 << 30, buffer.count - offset)
        MPI_Bcast(buffer.baseAddress.map { $0 + offset }, Int32(step), ala_mpi_byte(), Int32(root), world)
        offset += step
      }
    }
    if rank == root { otherBytesSent += bytes.count }
  }

  /// Every rank's bytes, by rank.
  public func allGather(_ bytes: [UInt8]) -> [[UInt8]] {
    guard size > 1 else { return [bytes] }
    var result: [[UInt8]] = []
    for root in 0..<size {
      var part = rank == root ? bytes : []
      broadcast(&part, root: root)
      result.append(part)
    }
    return result
  }

  /// The largest of every rank's value.
  public func maximum(_ value: Int) -> Int {
    guard size > 1 else { return value }
    var sent = Int64(value)
    var received: Int64 = 0
    MPI_Allreduce(&sent, &received, 1, ala_mpi_int64(), ala_mpi_max(), world)
    otherBytesSent += 8
    return Int(received)
  }

  /// The sum over all ranks.
  public func sum(_ value: Int) -> Int {
    guard size > 1 else { return value }
    var sent = Int64(value)
    var received: Int64 = 0
    MPI_Allreduce(&sent, &received, 1, ala_mpi_int64(), ala_mpi_sum(), world)
    otherBytesSent += 8
    return Int(received)
  }

  /// Completes a table of doubles, of which each rank holds the part at its displacement.
  ///
  /// - Parameters:
  ///   - counts, displacements: of every rank, in doubles.
  public func allGather(
    _ table: UnsafeMutablePointer<Double>, counts: [Int32], displacements: [Int32]
  ) {
    guard size > 1 else { return }
    MPI_Allgatherv(
      ala_mpi_in_place(), 0, ala_mpi_double(), table, counts, displacements, ala_mpi_double(), world)
    otherBytesSent += Int(counts[rank]) * 8
  }

  // MARK: Gradient sums

  /// Sums `values` over all ranks, with the same bits on all of them.
  ///
  /// For a power of two the sum is the binary tree that pairs neighbours first, ((r0 + r1) + (r2 + r3)): a
  /// reduce-scatter by recursive halving, then an all-gather by recursive doubling. Otherwise the ranks beyond the
  /// largest power of two first hand their values to a partner, and get the sum back at the end: one fixed order,
  /// too, but not that of another world size.
  public func sumByTree(_ values: UnsafeMutablePointer<Float>, count: Int) {
    guard size > 1, count > 0 else { return }
    if scratchCount < count {
      scratch?.deallocate()
      scratch = .allocate(capacity: count)
      scratchCount = count
    }
    guard let scratch else { return }
    var power = 1
    while power * 2 <= size { power *= 2 }
    let extra = size - power
    if rank >= power {
      send(values, count, to: rank - power)
      receive(values, count, from: rank - power)
      return
    }
    if rank < extra {
      receive(scratch, count, from: rank + power)
      for i in 0..<count { values[i] += scratch[i] }
    }
    reduceAndGather(values, scratch, count: count, power: power)
    if rank < extra { send(values, count, to: rank + power) }
  }

  private func reduceAndGather(
    _ values: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>, count: Int, power: Int
  ) {
    var start = 0
    var length = count
    var halves: [(start: Int, length: Int)] = []
    var distance = 1
    while distance < power {
      let partner = rank ^ distance
      let lower = length / 2
      halves.append((start, length))
      let keepsLower = rank & distance == 0
      let keep = keepsLower ? (start, lower) : (start + lower, length - lower)
      let give = keepsLower ? (start + lower, length - lower) : (start, lower)
      exchange(values + give.0, give.1, scratch, keep.1, with: partner)
      let kept = values + keep.0
      for i in 0..<keep.1 { kept[i] += scratch[i] }
      (start, length) = keep
      distance *= 2
    }
    while distance > 1 {
      distance /= 2
      let partner = rank ^ distance
      let whole = halves.removeLast()
      let lower = whole.length / 2
      let hasLower = rank & distance == 0
      let other = hasLower ? (whole.start + lower, whole.length - lower) : (whole.start, lower)
      exchange(values + start, length, values + other.0, other.1, with: partner)
      (start, length) = whole
    }
  }

  private func exchange(
    _ sent: UnsafeMutablePointer<Float>, _ sentCount: Int, _ received: UnsafeMutablePointer<Float>, _ count: Int,
    with partner: Int
  ) {
    MPI_Sendrecv(
      sent, Int32(sentCount), ala_mpi_float(), Int32(partner), 1, received, Int32(count), ala_mpi_float(),
      Int32(partner), 1, world, ala_mpi_status_ignore())
    gradientBytesSent += sentCount * 4
  }

  private func send(_ values: UnsafeMutablePointer<Float>, _ count: Int, to partner: Int) {
    MPI_Send(values, Int32(count), ala_mpi_float(), Int32(partner), 2, world)
    gradientBytesSent += count * 4
  }

  private func receive(_ values: UnsafeMutablePointer<Float>, _ count: Int, from partner: Int) {
    MPI_Recv(values, Int32(count), ala_mpi_float(), Int32(partner), 2, world, ala_mpi_status_ignore())
  }

  /// "Open MPI v4.1.4": for `--version` and fingerprints.
  public static func libraryVersion() -> String {
    var text = [CChar](repeating: 0, count: Int(MPI_MAX_LIBRARY_VERSION_STRING))
    var length: Int32 = 0
    MPI_Get_library_version(&text, &length)
    let whole = String(decoding: text.prefix(Int(length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return String(whole.prefix { $0 != "," && $0 != "\0" })
  }
}
