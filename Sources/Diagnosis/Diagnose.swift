import Cluster
import Foundation
import Machine
import Storage
import Tensor

/// `ala doctor`: looks at the machine of every rank, tries what runs rely on, and says what to do.

public struct DiagnosisOptions: Sendable {
  /// Where runs would write.
  public var folder: String
  /// Threads of this rank; nil for its share of the processors.
  public var threads: Int?
  public var environment: [String: String]
  public var blas: BLASChoice
  /// This program's file.
  public var program: String
  /// What `run.products` means here, and whether the table of processors chose it.
  public var library: ProductLibrary
  public var isLibraryAutomatic: Bool

  public init(
    folder: String, threads: Int? = nil, environment: [String: String], blas: BLASChoice, program: String,
    library: ProductLibrary, isLibraryAutomatic: Bool
  ) {
    self.folder = folder
    self.threads = threads
    self.environment = environment
    self.blas = blas
    self.program = program
    self.library = library
    self.isLibraryAutomatic = isLibraryAutomatic
  }
}

/// Every rank checks; every rank gets the whole diagnosis. Only files named `.ala-doctor-…` are made in the folder,
/// and removed.
public func diagnose(_ options: DiagnosisOptions, on cluster: Cluster) throws -> Diagnosis {
  let processor = Processor.current
  let share = cluster.threadShare()
  let threads = options.threads ?? share.threads
  let ranks = ClusterChecks(cluster: cluster, environment: options.environment)
  var findings = [ranks.checkMPI()]
  if let network = ranks.checkNetworks() { findings.append(network) }
  if cluster.size > 1 { findings.append(ranks.checkLikeness(program: options.program, kernel: options.blas.kernel)) }
  findings.append(checkHDF5Library(options.environment))
  findings.append(checkProcessor(processor))
  // Two threads at least, or nothing can meet.
  let testThreads = max(2, threads)
  let memory = checkProductMemory(threads: testThreads)
  findings.append(memory)
  let canMultiply = memory.verdict != .problem
  // One rank a host measures, while the others wait; a kernel beyond the processor would end this process.
  if canMultiply, cluster.localRank == 0 {
    findings.append(
      checkBLAS(
        options.blas, rate: productRate,
        unforced: { UnforcedRate.measure(probe: options.program, environment: options.environment) }))
    if !options.blas.isTooNew {
      let measured = LibraryRates.measure()
      findings.append(checkLibrary(options.library, isAutomatic: options.isLibraryAutomatic, measured))
      if let bfloat16 = checkBFloat16(options.library, measured) { findings.append(bfloat16) }
    }
  }
  cluster.barrier()
  if canMultiply, !options.blas.isTooNew {
    for library in ProductLibrary.linked {
      let product = modelProduct(by: library)
      findings.append(checkProducts(testProducts(product, threads: testThreads), by: library))
      findings.append(checkRows(rowDependence(product), by: library))
    }
  }
  findings += hostFindings(threads: threads, cluster)
  let folder = FolderChecks(options.folder, rank: cluster.rank).run()
  findings += folder
  if cluster.size > 1 {
    findings.append(ranks.checkSharing(folder: options.folder, isWritable: folder.count > 1))
  }
  let gathered = cluster.allGather(Array(try JSONEncoder().encode(findings)))
  let hosts = cluster.allGather(Array(cluster.host.utf8)).map { String(decoding: $0, as: UTF8.self) }
  return Diagnosis(
    try zip(hosts, gathered).map { ($0, try JSONDecoder().decode([Finding].self, from: Data($1))) })
}

private func checkHDF5Library(_ environment: [String: String]) -> Finding {
  let locking =
    environment["HDF5_USE_FILE_LOCKING"].map { "HDF5_USE_FILE_LOCKING=\($0)" }
    ?? "file locking as HDF5 does by default (where NFS or Lustre refuses it, set HDF5_USE_FILE_LOCKING=FALSE)"
  let safety = HDF5File.isThreadSafe ? "thread-safe" : "not thread-safe, which ala does not need"
  return .ok("hdf5", "HDF5 \(HDF5File.libraryVersion()), \(safety); \(locking)")
}

/// Findings of the host, by its first rank alone.
private func hostFindings(threads: Int, _ cluster: Cluster) -> [Finding] {
  let own = HostShare(host: cluster.host, threads: threads, processors: Processor.affinity())
  let all = cluster.allGather(Array((try? JSONEncoder().encode(own)) ?? Data()))
  guard cluster.localRank == 0 else { return [] }
  let here = all.compactMap { try? JSONDecoder().decode(HostShare.self, from: Data($0)) }.filter {
    $0.host == cluster.host
  }
  let processors = here.reduce(into: Set<Int>()) { $0.formUnion($1.processors) }
  return [
    checkThreads(
      threads: here.map(\.threads), processors: processors.count, online: Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))),
      quota: processorQuota(), isLaunched: cluster.size > 1),
    checkMemory(HostMemory.read(), ranks: here.count), checkSharedMemory(free: HostMemory.freeSharedMemory()),
    checkLeftovers(),
  ]
}

/// What a rank tells the others of its host.
private struct HostShare: Codable {
  let host: String
  let threads: Int
  let processors: Set<Int>
}
