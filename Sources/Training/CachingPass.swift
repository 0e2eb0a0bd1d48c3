import AttentionLattice
import Cluster
import Dataset
import Failures
import Files
import Foundation
import Images
import Storage
import Tensor

/// The feature-caching pass (`ala cache`): encodes every view once with the frozen blocks below LoRA.

/// Rows that are made durable together, and the time after which fewer are.
private let rowsPerCommit = 64
private let secondsPerCommit = 5.0

/// Writes what is missing of the cache. Interrupted, it goes on where it was, at any world size.
///
/// - Throws: `Failure` 75 after a signal, with everything written so far durable.
public func runCachingPass(_ experiment: Experiment, log: RunLog) throws {
  let cluster = experiment.cluster
  guard let folder = experiment.configuration.cache.dir else {
    throw cluster.agreed(.badConfiguration("cache.dir is null; ala cache needs a folder to write to"))
  }
  let wanted = experiment.cacheRows
  let cache = FeatureCache(folder: folder, fingerprint: experiment.cacheFingerprint)
  var lock: RunLock?
  try cluster.onRoot {
    try makeFolder(folder)
    lock = try RunLock(path: "\(folder)/.lock") { log.warning($0) }
    cache.sweep()
  }
  defer { withExtendedLifetime(lock) {} }
  try prepare(cache, wanted, experiment, log)
  experiment.describePrecision(log)
  let work = try cluster.agree { try cache.plan(wanted, rank: cluster.rank, world: cluster.size) }
  let signals = SignalWatch()
  var failure: Failure?
  do {
    try encode(work, into: cache, experiment, signals, log)
  } catch {
    failure = Cluster.failure(of: error)
  }
  try cluster.share(failure)
  if cluster.maximum(signals.pending == nil ? 0 : 1) > 0 {
    throw cluster.agreed(.interrupted("interrupted; the rows written so far are kept: run the same command again"))
  }
  _ = try cluster.agree { try cache.open(wanting: wanted) }
  try cluster.onRoot { try cache.writeIndex(wanted) }
  log.info("\(folder): \(wanted.count) rows are cached")
}

/// Opens what is there, checks it, and clears what was made from something else.
private func prepare(_ cache: FeatureCache, _ wanted: [CacheRow], _ experiment: Experiment, _ log: RunLog) throws {
  let cluster = experiment.cluster
  let state = try cluster.agree { try cache.open(wanting: wanted, isWritable: true) }
  if case .stale(let differences) = state {
    try cluster.onRoot {
      log.warning("the cache is made anew, for it was made from something else: \(differences)")
      cache.clear()
    }
    _ = try cluster.agree { try cache.open(wanting: wanted, isWritable: true) }
    return
  }
  guard case .absent = state else {
    let damaged = cluster.sum(try cluster.agree { try cache.recheck(rank: cluster.rank, world: cluster.size) })
    if damaged > 0 && cluster.isRoot { log.warning("\(damaged) cached rows were damaged and are encoded again") }
    _ = try cluster.agree { try cache.open(wanting: wanted, isWritable: true) }
    return
  }
}

private func encode(
  _ work: FeatureCache.Work, into cache: FeatureCache, _ experiment: Experiment, _ signals: SignalWatch, _ log: RunLog
) throws {
  let team = experiment.team
  let source = SampleSource(experiment, cache: nil)
  let inferences = (0..<team.threadCount).map { _ in Inference(experiment.model) }
  let payloads = (0..<rowsPerCommit).map { _ in
    UnsafeMutableRawBufferPointer.allocate(byteCount: cache.rowBytes, alignment: 64)
  }
  defer { payloads.forEach { $0.deallocate() } }
  let layers = cache.fingerprint.layout.layers
  let start = Date()
  var done = 0
  while done < work.rows.count, signals.pending == nil {
    let batchStart = Date()
    let first = done
    var count = 0
    // Small groups, so that a signal is heard soon and little is lost.
    while first + count < work.rows.count, count < rowsPerCommit, signals.pending == nil,
      Date().timeIntervalSince(batchStart) < secondsPerCommit
    {
      let group = min(team.threadCount, work.rows.count - first - count, rowsPerCommit - count)
      let failures = FailureSlots(group)
      team.run(group) { index, thread in
        failures.catching(index) {
          let key = work.rows[first + count + index]
          guard let image = experiment.dataset.image(Int(key.imageID)) else {
            throw Failure.internalError("image \(key.imageID) is not in the data set")
          }
          let pixels = try source.render(image, view: Int(key.view))
          let inference = inferences[thread]
          pixels.withUnsafeBufferPointer { buffer in
            if let base = buffer.baseAddress { experiment.model.encoder.patchify(inference.patches, pixels: base) }
          }
          inference.encode()
          try cache.pack(
            payloads[count + index], pixels: pixels, layers: layers.map { ConstFloats(inference.feature($0)) },
            tail: ConstFloats(inference.tail), key: key)
        }
      }
      try failures.throwFirst()
      count += group
    }
    for index in 0..<count { try cache.write(work, first + index, UnsafeRawBufferPointer(payloads[index])) }
    try cache.commit(work, first..<(first + count))
    done += count
    log.progress(
      done, of: work.rows.count, doing: "cache", rate: Double(done) / max(Date().timeIntervalSince(start), 1e-9),
      unit: "views")
  }
}

/// Reads every row of the cache against its checksum (`ala cache --verify`).
///
/// - Throws: `Failure` 65 with the first problem.
public func verifyCache(_ experiment: Experiment, log: RunLog) throws {
  let cluster = experiment.cluster
  guard let folder = experiment.configuration.cache.dir else {
    throw cluster.agreed(.badConfiguration("cache.dir is null; there is no cache to verify"))
  }
  let cache = FeatureCache(folder: folder, fingerprint: experiment.cacheFingerprint)
  let wanted = experiment.cacheRows
  try cluster.agree {
    switch try cache.open(wanting: wanted) {
    case .absent: throw Failure.missingInput("\(folder): there is no feature cache")
    case .stale(let differences): throw Failure.badData("the cache was made from something else: \(differences)")
    case .incomplete, .complete: break
    }
    let problems = cache.verify(wanted, rank: cluster.rank, world: cluster.size)
    if let first = problems.first {
      throw Failure.badData("\(problems.count) problem\(problems.count == 1 ? "" : "s") in the cache, the first: \(first)")
    }
  }
  log.info("\(folder): all \(wanted.count) rows are sound")
}

/// Failures of parallel tasks; the one with the lowest number is thrown.
final class FailureSlots: @unchecked Sendable {
  private let slots: UnsafeMutableBufferPointer<Failure?>

  init(_ count: Int) {
    slots = .allocate(capacity: count)
    slots.initialize(repeating: nil)
  }

  deinit {
    slots.deinitialize()
    slots.deallocate()
  }

  func catching(_ index: Int, _ body: () throws -> Void) {
    do {
      try body()
    } catch {
      slots[index] = Cluster.failure(of: error)
    }
  }

  func throwFirst() throws {
    if let failure = slots.lazy.compactMap({ $0 }).first { throw failure }
  }
}
