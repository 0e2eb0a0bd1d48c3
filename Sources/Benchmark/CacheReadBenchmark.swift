import Cluster
import Digests
import Failures
import Files
import Foundation
import Machine
import Randomness
import Storage

// `ala bench cache-read`: reading the feature cache, every row checked, against a plain read of the same file.

public struct CacheReadResult: Codable, Sendable {
  public let work: String
  public let rows: Int
  public let rowBytes: Int
  /// Of the fastest of the repeats, by one thread, from files that the page cache holds.
  public let rowsPerSecond: Double
  public let mibPerSecond: Double
  /// read(2) from the file's beginning to its end, and CRC-32 of what it gives.
  public let plainMiBPerSecond: Double
  /// mibPerSecond over plainMiBPerSecond.
  public let roof: Double

  enum CodingKeys: String, CodingKey {
    case work, rows, roof
    case rowBytes = "row_bytes"
    case rowsPerSecond = "rows_per_s"
    case mibPerSecond = "mib_per_s"
    case plainMiBPerSecond = "plain_mib_per_s"
  }
}

/// Rows of ViT-B/16 with four fused layers in float16, read in the order of a training epoch.
///
/// - Parameter parent: the folder below which the cache is written and removed again; it is made, and removed, where it is
///   not there.
/// - Throws: `Failure` 73; 75 after a signal.
public func benchmarkCacheRead(repeats: Int, cluster: Cluster, below parent: String) throws -> CacheReadResult {
  let folder = "\(parent)/ala-bench-\(getpid())-cache"
  return try withWorkFolder(folder, together: cluster.barrier) { try cacheRead(repeats: repeats, in: folder) }
}

private func cacheRead(repeats: Int, in folder: String) throws -> CacheReadResult {
  let signals = SignalWatch()
  // Beyond any processor's cache, so that memory is read.
  let count = 128
  let layout = CacheLayout(side: 224, tokens: 196, width: 768, layers: [0, 1, 2, 3], type: .float16)
  let fingerprint = CacheFingerprint(
    encoderSHA256: "", encoderSettings: "{}", viewDefinition: "{}", datasetSHA256: "", firstLoRABlock: 10,
    layout: layout)
  let keys = (0..<count).map { CacheRow(imageID: $0, view: 0) }
  let cache = FeatureCache(folder: folder, fingerprint: fingerprint)
  _ = try cache.open(wanting: keys, isWritable: true)
  let work = try cache.plan(keys, rank: 0, world: 1)
  let payload = UnsafeMutableRawBufferPointer.allocate(byteCount: cache.rowBytes, alignment: 64)
  defer { payload.deallocate() }
  var stream = RandomStream(seed: 0, name: "bench")
  for index in stride(from: 0, to: payload.count, by: 4) {
    payload.storeBytes(of: stream.bits(), toByteOffset: index, as: UInt32.self)
  }
  for index in keys.indices { try cache.write(work, index, UnsafeRawBufferPointer(payload)) }
  try cache.commit(work, keys.indices)
  guard try cache.open(wanting: keys) == .complete else {
    throw Failure.internalError("\(folder): the cache that was written is not complete")
  }
  let order = stream.permutation(count)
  var (best, bestPlain, plainBytes) = (Double.infinity, Double.infinity, 0)
  for _ in 0..<repeats {
    if signals.pending != nil { throw Failure.interrupted("interrupted; nothing is kept") }
    best = min(best, try seconds { for index in order { try cache.read(keys[index], into: payload) } })
    bestPlain = min(
      bestPlain, try seconds { plainBytes = try readPlainly("\(folder)/shard-00000-of-00001.h5", payload) })
  }
  let rate = Double(count * cache.rowBytes) / best / 1_048_576
  let plainRate = Double(plainBytes) / bestPlain / 1_048_576
  return CacheReadResult(
    work: "cache-read", rows: count, rowBytes: cache.rowBytes, rowsPerSecond: Double(count) / best,
    mibPerSecond: rate, plainMiBPerSecond: plainRate, roof: rate / plainRate)
}

func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = DispatchTime.now().uptimeNanoseconds
  try body()
  return Double(elapsedNanoseconds(since: start)) / 1e9
}

/// - Returns: how many bytes there were.
private func readPlainly(_ path: String, _ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
  let (descriptor, _) = try openRegularFile(path)
  defer { close(descriptor) }
  var crc = CRC32()
  var total = 0
  while true {
    let count = read(descriptor, buffer.baseAddress, min(buffer.count, 1 << 20))
    guard count > 0 else { return total }
    crc.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
    total += count
  }
}
