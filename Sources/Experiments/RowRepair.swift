import Failures
import Foundation
import Networks
import Storage
import Tensor

/// Makes rows of the cache anew that turn out to be damaged while a run reads them: the caching pass's own steps on the
/// same view give the intact row's bits, so that the run goes on as if nothing had happened. The shard stays as it is;
/// `ala cache` repairs it.
final class RowRepair: @unchecked Sendable {
  private let cache: FeatureCache
  private let experiment: Experiment
  private let log: RunLog?
  /// Guards what follows, and lets one reading thread at a time encode.
  private let lock = NSLock()
  /// Made for the first damaged row, so that sound caches cost no memory.
  private var extractor: FeatureExtractor?
  private var known: Set<CacheRow> = []

  /// - Parameter log: told of each damaged row once.
  init(_ experiment: Experiment, cache: FeatureCache, log: RunLog?) {
    self.experiment = experiment
    self.cache = cache
    self.log = log
  }

  /// Fills a row from its view. Safe from several threads.
  ///
  /// - Parameters:
  ///   - pixels: [S, S, 3] of the row's view.
  ///   - payload: `FeatureCache.rowBytes`; holds the row as the caching pass has written it.
  ///   - damage: what reading it said.
  /// - Throws: `Failure` 65 where a feature is beyond float16.
  func remake(
    _ key: CacheRow, pixels: [UInt8], into payload: UnsafeMutableRawBufferPointer, damage: Failure
  ) throws {
    lock.lock()
    defer { lock.unlock() }
    if known.insert(key).inserted {
      log?.warningOfRank("\(damage.message); it is made anew from its image (`ala cache` repairs the cache)")
    }
    let extractor = self.extractor ?? experiment.makeExtractor(cache.fingerprint)
    self.extractor = extractor
    try pixels.withUnsafeBufferPointer { buffer in
      guard let base = buffer.baseAddress else { return }
      extractor.encode(pixels: base)
      try cache.pack(
        payload, pixels: base, layers: cache.fingerprint.layout.layers.map { extractor.feature($0) },
        tail: extractor.tail, key: key)
    }
  }
}
