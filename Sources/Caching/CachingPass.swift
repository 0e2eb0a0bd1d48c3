import Cluster
import Dataset
import Experiments
import Failures
import Files
import Foundation
import Images
import Networks
import Storage
import Synchronization
import Tensor

/// The feature-caching pass (`ala cache`): encodes every view once with the frozen blocks below LoRA.

/// Encoded rows that may wait for the disk.
private let rowsToWrite = 16

/// Writes what is missing of the cache. Interrupted, it goes on where it was, at any world size.
///
/// - Throws: `Failure` 75 after a signal, with everything written so far durable.
public func runCachingPass(_ experiment: Experiment, log: RunLog) throws {
  let cluster = experiment.cluster
  guard let folder = experiment.configuration.cache.dir else {
    throw cluster.agreed(.badConfiguration("cache.dir is null; ala cache needs a folder to write to"))
  }
  let wanted = experiment.cacheRows
  let cache = FeatureCache(folder: folder, fingerprint: experiment.cacheFingerprint(isReading: false))
  var lock: RunLock?
  try cluster.onRoot {
    let shards = ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).filter {
      $0.hasPrefix("shard-")
    }
    let names = ["index.h5"] + shards.sorted()
    // One of its files may be damaged.
    let isCache = names.contains { FeatureCache.isOwnFile("\(folder)/\($0)") }
    try refuseStrangers(in: folder, mark: ".lock", names: names, setting: "cache.dir", isOwn: { _ in isCache })
    try makeFolder(folder)
    lock = try RunLock(path: "\(folder)/.lock") { log.warning($0) }
    for sentence in try cache.repair(wanting: wanted) { log.warning(sentence) }
  }
  defer { withExtendedLifetime(lock) {} }
  try cluster.requireOneFolder(folder, "cache.dir")
  try prepare(cache, wanted, experiment, log)
  log.info("writes to \(folder)/: index.h5 and a shard for each rank, \(wanted.count) rows in all")
  experiment.describeData(log)
  experiment.describeMeans(log)
  let work = try cluster.agree { try cache.plan(wanted, rank: cluster.rank, world: cluster.size) }
  try encode(work, into: cache, experiment, log)
  _ = try cluster.agree { try cache.open(wanting: wanted) }
  try cluster.onRoot { try cache.writeIndex(wanted) }
  log.info("\(folder): \(wanted.count) rows are cached")
  log.info("next: ala train with the same settings reads them")
}

/// Opens what is there, checks it, and clears what was made from something else.
private func prepare(_ cache: FeatureCache, _ wanted: [CacheRow], _ experiment: Experiment, _ log: RunLog) throws {
  let cluster = experiment.cluster
  let state = try cluster.agree { try cache.open(wanting: wanted, isWritable: true) }
  if case .stale(let differences) = state {
    try cluster.onRoot {
      log.warning("the cache is made anew, for it was made from something else: \(differences)")
      try cache.clear()
    }
    _ = try cluster.agree { try cache.open(wanting: wanted, isWritable: true) }
    return
  }
  guard case .absent = state else {
    let damaged = cluster.sum(try cluster.agree { try cache.recheck(rank: cluster.rank, world: cluster.size) })
    if damaged > 0 { log.warning("\(damaged) cached rows were damaged and are encoded again") }
    _ = try cluster.agree { try cache.open(wanting: wanted, isWritable: true) }
    return
  }
}

/// Encodes this rank's rows: images are decoded ahead by threads of their own, the team's threads encode, each a row
/// of its own, and one more thread writes.
private func encode(
  _ work: FeatureCache.Work, into cache: FeatureCache, _ experiment: Experiment, _ log: RunLog
) throws {
  let (team, cluster) = (experiment.team, experiment.cluster)
  let extractors = (0..<team.threadCount).map { _ in experiment.makeExtractor(cache.fingerprint) }
  let signals = SignalWatch()
  let failures = FirstFailure()
  let source = SampleSource(experiment, cache: nil)
  let readers = max(1, team.threadCount / 2)
  var left = work.rows[...]
  let ahead = ReadAhead(source, rows: team.threadCount + 2 * readers, threads: readers) {
    left.popFirst().map { SampleRequest(imageID: Int($0.imageID), view: Int($0.view)) }
  }
  let writer = CacheWriter(cache, work, rows: max(rowsToWrite, 2 * team.threadCount))
  // Also where a collective throws: what is encoded is written.
  defer { writer.finish() }
  let layers = cache.fingerprint.layout.layers
  let start = Date()
  let isAtEnd = Atomic(work.rows.isEmpty)
  func show() {
    if work.rows.isEmpty { return }
    let done = writer.durable
    log.progress(
      done, of: work.rows.count, doing: "cache", rate: Double(done) / max(Date().timeIntervalSince(start), 1e-9),
      unit: "views")
  }

  /// Encodes the next row; false where there is none.
  func encodeNext(_ extractor: FeatureExtractor) -> Bool {
    guard let row = ahead.take() else { return false }
    defer { ahead.giveBack(row) }
    do {
      if let failure = row.failure { throw failure }
      extractor.encode(pixels: row.pixels)
      guard let payload = writer.room() else { return true }
      try cache.pack(
        payload, pixels: row.pixels, layers: layers.map { extractor.feature($0) },
        tail: extractor.tail, key: work.rows[row.number])
      writer.write(row.number, payload)
    } catch {
      failures.note(row.number, error)
    }
    return true
  }

  while true {
    let deadline = Date(timeIntervalSinceNow: Cluster.secondsPerRound)
    team.run(team.threadCount) { _, thread in
      while !isAtEnd.load(ordering: .relaxed), signals.pending == nil, Date() < deadline,
        failures.failure == nil, writer.failure == nil
      {
        if !encodeNext(extractors[thread]) { isAtEnd.store(true, ordering: .relaxed) }
        if thread == 0 { show() }
      }
    }
    let failure = failures.failure ?? writer.failure
    cluster.note(.caching)
    let call = cluster.round(
      failure: failure, signal: signals.pending, flag: !isAtEnd.load(ordering: .relaxed))
    if call == .flag { continue }
    writer.finish()
    try cluster.share(failure ?? writer.failure)
    if call == .signal {
      throw cluster.agreed(.interrupted("interrupted; the rows written so far are kept: run the same command again"))
    }
    show()
    return
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
  let cache = FeatureCache(folder: folder, fingerprint: experiment.cacheFingerprint(isReading: false))
  let wanted = experiment.cacheRows
  try cluster.agree {
    switch try cache.open(wanting: wanted) {
    case .absent: throw Failure.missingInput("\(folder): there is no feature cache")
    case .stale(let differences): throw Failure.badData("the cache was made from something else: \(differences)")
    case .incomplete, .complete: break
    }
    let problems = try cache.verify(wanted, rank: cluster.rank, world: cluster.size)
    if let first = problems.first {
      throw Failure.badData(
        "\(problems.count) problem\(problems.count == 1 ? "" : "s") in the cache, the first: \(first); "
          + "`ala cache` mends it")
    }
  }
  log.info("\(folder): all \(wanted.count) rows are sound")
}
