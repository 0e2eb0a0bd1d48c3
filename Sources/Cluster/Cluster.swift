import CMPI
import Failures
import Foundation
import Lanes

/// The processes of a run: MPI under `mpirun`, or this process alone. Every collective here is called by all ranks,
/// in the same order, from the main thread.
public final class Cluster: @unchecked Sendable {
  public let rank: Int
  public let size: Int
  /// This rank among those of its machine.
  public let localRank: Int
  public let localSize: Int
  public let host: String

  /// Bytes that this rank has sent, but for gradients.
  public private(set) var otherBytesSent = 0
  /// Whether MPI may be called from another thread beside the main one.
  let allowsThreads: Bool

  /// What this rank has done in another way than usual, for the log.
  public internal(set) var remarks: [String] = []

  /// What MPI leaves out on this host, for `mpirun`'s host has these addresses as well.
  public let leftOut: [NetworkInterface]

  /// What `share` has last thrown: a failure that every rank knows of.
  public internal(set) var agreedFailure: Failure?

  private let usesMPI: Bool
  private let world: MPI_Comm?
  private let node: MPI_Comm?
  private var duplicate: MPI_Comm?

  let progress = Progress()
  /// Under a launcher.
  private let watchdog: Watchdog?

  /// Seconds that a rank may be silent before settings say so, and the variable that holds for commands without them.
  private static let usualPatience = 300.0
  private static let patienceVariable = "ALA_RUN__PATIENCE_SECONDS"

  /// What launchers set in the environment of the processes they start.
  private static let launcherMarks = ["OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMIX_RANK"]

  /// Joins the run. Without a launcher MPI is not started at all.
  ///
  /// - Parameter patience: seconds of `run.patience_seconds` until settings say so; nil for the usual ones.
  /// - Throws: `Failure` 69 where MPI cannot start.
  public init(patience: Double? = nil) throws {
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard Self.launcherMarks.contains(where: { getenv($0) != nil }) else {
      usesMPI = false
      (rank, size, localRank, localSize) = (0, 1, 0, 1)
      (world, node) = (nil, nil)
      allowsThreads = false
      watchdog = nil
      leftOut = []
      return
    }
    leftOut = RepeatedAddresses.leaveOut()
    let given = getenv(Self.patienceVariable).flatMap { Double(String(cString: $0)) }
    let watchdog = Watchdog(
      progress, host: host,
      patience: given.flatMap { $0 > 0 && $0.isFinite ? $0 : nil } ?? patience ?? Self.usualPatience)
    self.watchdog = watchdog
    var provided: Int32 = 0
    let status = progress.waiting(.startOfMPI) {
      MPI_Init_thread(nil, nil, Int32(MPI_THREAD_MULTIPLE), &provided)
    }
    guard status == 0 else {
      throw Failure.unavailable("MPI cannot start on \(host)")
    }
    usesMPI = true
    allowsThreads = provided >= Int32(MPI_THREAD_MULTIPLE)
    let world = ala_mpi_comm_world()
    var node: MPI_Comm?
    var values: (Int32, Int32, Int32, Int32) = (0, 1, 0, 1)
    MPI_Comm_rank(world, &values.0)
    MPI_Comm_size(world, &values.1)
    progress.waiting(.startOfMPI) {
      _ = MPI_Comm_split_type(world, ala_mpi_comm_type_shared(), values.0, ala_mpi_info_null(), &node)
    }
    MPI_Comm_rank(node, &values.2)
    MPI_Comm_size(node, &values.3)
    self.world = world
    self.node = node
    (rank, size, localRank, localSize) = (Int(values.0), Int(values.1), Int(values.2), Int(values.3))
    for one in leftOut {
      remarks.append(
        "\(one.address) (\(one.name)) is an address of mpirun's host, too: MPI leaves out its network, \(one.network)")
    }
    meetRanks(watchdog)
  }

  /// Tells every rank where the others' heartbeats can be sent to.
  private func meetRanks(_ watchdog: Watchdog) {
    guard size > 1 else { return }
    let socket = HeartbeatSocket()
    let own = socket?.endpoint(host: host) ?? Endpoint(host: host, addresses: [], port: 0)
    let endpoints = allGather(Array((try? JSONEncoder().encode(own)) ?? Data())).map {
      (try? JSONDecoder().decode(Endpoint.self, from: Data($0))) ?? Endpoint(host: "unknown", addresses: [], port: 0)
    }
    var key = (0..<HeartbeatSeal.keyBytes).map { _ in UInt8.random(in: 0 ... .max) }
    broadcast(&key)
    watchdog.meet(rank: rank, key: key, socket: socket, endpoints: endpoints)
  }

  /// How long a rank may be silent, or all may stand still, before the job ends with 69 (`run.patience_seconds`).
  public func setPatience(_ seconds: Double) { watchdog?.setPatience(seconds) }

  /// Says what this rank is busy with; every call of it is progress.
  ///
  /// - Parameter number: the step, from 1.
  public func note(_ activity: Activity, _ number: Int = 0) { progress.note(activity, number) }

  /// Seconds that this rank has spent in what waits for other ranks, since it began.
  public var secondsWaited: Double { progress.secondsWaited }

  public var isRoot: Bool { rank == 0 }

  /// " (rank 2 on host a)", where there are several ranks: for messages.
  public var place: String { size > 1 ? " (rank \(rank) on \(host))" : "" }

  /// Leaves MPI behind a barrier, so that every rank's files are done before `mpirun` ends.
  public func finish() {
    guard usesMPI else { return }
    note(.ending)
    barrier()
    watchdog?.end()
    MPI_Finalize()
  }

  /// Ends every rank at once: for a fault that the others cannot be told of otherwise.
  public func abort(_ code: ExitCode) {
    if usesMPI { MPI_Abort(world, code.rawValue) }
  }

  /// A communicator of its own over all ranks, so that another thread's messages never meet the main one's. Made by the
  /// first call, which all ranks make together; it lasts as long as MPI.
  func reducersCommunicator() -> MPI_Comm? {
    guard size > 1 else { return nil }
    if duplicate == nil { progress.waiting(.barrier) { _ = MPI_Comm_dup(world, &duplicate) } }
    return duplicate
  }

  /// This rank's part of `count` things that the ranks share.
  public func slice(of count: Int) -> Range<Int> { Lanes.slice(of: count, part: rank, among: size) }

  // MARK: Collectives

  public func barrier() {
    if size > 1 { progress.waiting(.barrier) { _ = MPI_Barrier(world) } }
  }

  /// Overwrites `bytes` on every rank with the machine's local rank 0's.
  public func machineBroadcast(_ bytes: inout [UInt8]) {
    guard localSize > 1 else { return }
    progress.waiting(.broadcast) {
      var count = Int64(bytes.count)
      MPI_Bcast(&count, 1, ala_mpi_int64(), 0, node)
      if localRank != 0 { bytes = [UInt8](repeating: 0, count: Int(count)) }
      MPI_Bcast(&bytes, Int32(count), ala_mpi_byte(), 0, node)
    }
  }

  /// Overwrites `bytes` on every rank with rank `root`'s.
  public func broadcast(_ bytes: inout [UInt8], root: Int = 0) {
    guard size > 1 else { return }
    progress.waiting(.broadcast) {
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
    progress.waiting(.maximum) {
      _ = MPI_Allreduce(&sent, &received, 1, ala_mpi_int64(), ala_mpi_max(), world)
    }
    otherBytesSent += 8
    return Int(received)
  }

  /// The sum over all ranks.
  public func sum(_ value: Int) -> Int {
    guard size > 1 else { return value }
    var sent = Int64(value)
    var received: Int64 = 0
    progress.waiting(.sum) {
      _ = MPI_Allreduce(&sent, &received, 1, ala_mpi_int64(), ala_mpi_sum(), world)
    }
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
    progress.waiting(.gathering) {
      _ = MPI_Allgatherv(
        ala_mpi_in_place(), 0, ala_mpi_double(), table, counts, displacements, ala_mpi_double(), world)
    }
    otherBytesSent += Int(counts[rank]) * 8
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
