import Cluster
import Digests
import Failures
import Files
import Foundation
import Machine
import Storage
import Tensor

/// What makes messages mean the same and results have the same bits on all ranks.
///
/// - Parameters:
///   - program: this program's file.
///   - kernel: BLAS's.
public func likenessFacts(program: String, kernel: String) -> [(key: String, value: String)] {
  [
    ("the program's sha256", (try? SHA256.ofFile(program)) ?? "unreadable"), ("MPI", Cluster.libraryVersion()),
    ("BLAS", blasConfiguration()), ("BLAS kernel (OPENBLAS_CORETYPE)", kernel), ("HDF5", HDF5File.libraryVersion()),
  ]
}

/// What needs all ranks: MPI itself, one program everywhere, one folder everywhere. Every rank calls each of these.
struct ClusterChecks {
  let cluster: Cluster
  let environment: [String: String]

  /// The sums and the shared memory that training uses, on numbers whose answers are known.
  func checkMPI() -> Finding {
    let version = Cluster.libraryVersion()
    guard cluster.size > 1 else {
      return Processes.executable("mpirun", in: environment) != nil
        ? .ok("mpi", "\(version); started alone")
        : .note("mpi", "\(version); mpirun is not on the PATH", "install openmpi-bin to run several ranks")
    }
    let ranks = cluster.size * (cluster.size + 1) / 2
    var values = [Float](repeating: Float(cluster.rank + 1), count: 1001)
    values.withUnsafeMutableBufferPointer { values in
      guard let base = values.baseAddress else { return }
      let reducer = GradientReducer(cluster, base: base, largest: values.count)
      reducer.start(0..<values.count)
      _ = reducer.finish()
    }
    let sum = cluster.sum(cluster.rank + 1)
    var fault: String?
    do {
      let byte = UInt8(truncatingIfNeeded: cluster.size)
      let shared = try cluster.sharedMemory(1 << 20) { memory in for i in memory.indices { memory[i] = byte } }
      if shared.bytes.contains(where: { $0 != byte }) { fault = "shared memory holds other bytes than were written" }
    } catch {
      fault = "\(error)"
    }
    if sum != ranks || values.contains(where: { $0 != Float(ranks) }) { fault = "sums over the ranks are wrong" }
    if let fault {
      return .problem("mpi", "\(version): \(fault)", "check the MPI installation and /dev/shm of every host")
    }
    let hosts = cluster.allGather(Array(cluster.host.utf8)).map { String(decoding: $0, as: UTF8.self) }
    let counts = Dictionary(hosts.map { ($0, 1) }, uniquingKeysWith: +).sorted { $0.key < $1.key }
    return .ok(
      "mpi",
      "\(version); \(cluster.size) ranks on \(counts.map { "\($0.key) (\($0.value))" }.joined(separator: ", "))")
  }

  /// The networks of the ranks' hosts; nil on one host.
  func checkNetworks() -> Finding? {
    let own = HostNetworks(
      host: cluster.host, interfaces: NetworkInterface.all(), leftOut: cluster.leftOut,
      isChosen: cluster.leftOut.isEmpty && RepeatedAddresses.isChosen(environment))
    let all = cluster.allGather(Array((try? JSONEncoder().encode(own)) ?? Data())).compactMap {
      try? JSONDecoder().decode(HostNetworks.self, from: Data($0))
    }
    return compareNetworks(all)
  }

  /// Runs refuse ranks that differ in any of it.
  func checkLikeness(program: String, kernel: String) -> Finding {
    let differing = cluster.differing(likenessFacts(program: program, kernel: kernel))
    guard !differing.isEmpty else {
      return .ok("likeness", "program, libraries and BLAS kernel are the same on all ranks")
    }
    return .problem(
      "likeness", "ranks differ in: \(differing.joined(separator: ", "))",
      "install the same ala and the same packages on every host; set one OPENBLAS_CORETYPE for all")
  }

  /// A file that rank 0 makes and locks is there for every rank, and locked.
  func checkSharing(folder: String, isWritable: Bool) -> Finding {
    let path = "\(folder)/.ala-doctor-\(getpid())-shared"
    var own: Int32 = -1
    if cluster.isRoot, isWritable {
      own = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
      if own >= 0 { _ = FileLock.attempt(own) }
    }
    defer {
      if own >= 0 {
        unlink(path)
        close(own)
      }
    }
    var name = own >= 0 ? Array(path.utf8) : []
    cluster.broadcast(&name)
    defer { cluster.barrier() }
    guard !name.isEmpty else { return .note("sharing", "not tried, for rank 0 cannot write into \(folder)") }
    guard !cluster.isRoot else { return .ok("sharing", "all ranks see one folder and each other's locks") }
    let other = open(String(decoding: name, as: UTF8.self), O_RDWR | O_CLOEXEC)
    guard other >= 0 else {
      return .problem(
        "sharing", "\(folder): rank 0's file is not there",
        "every host needs the data, the encoder and the run's folder on one file system")
    }
    defer { close(other) }
    guard FileLock.attempt(other) == .taken else {
      return .note(
        "sharing", "\(folder): rank 0's lock is not seen",
        "start no two runs in one folder from different hosts; or mount with locks (flock)")
    }
    return .ok("sharing", "all ranks see one folder and each other's locks")
  }
}
