import Failures
import Files
import Foundation
import Lanes
import Machine

/// The feature cache as a folder: `index.h5` over `shard-RRRRR-of-WWWWW.h5` (docs/formats.md, "Feature cache").

/// What stands in a cache's folder, against what a run wants of it.
public enum CacheState: Equatable, Sendable {
  case absent
  /// Made from something else; the differences.
  case stale(String)
  case incomplete(written: Int, total: Int)
  case complete
}

public final class FeatureCache: @unchecked Sendable {
  public let folder: String
  /// What is wanted; after `open` of a shared cache, what it is.
  public private(set) var fingerprint: CacheFingerprint
  /// The `ala` program; see `ForeignHDF5`.
  let probe: String
  private(set) var shards: [CacheShard] = []
  /// Where each durable row is.
  private(set) var places: [CacheRow: (shard: Int, row: Int)] = [:]

  public init(folder: String, fingerprint: CacheFingerprint, probe: String = ChildProcess.ownProgram) {
    self.folder = folder
    self.fingerprint = fingerprint
    self.probe = probe
  }

  var indexPath: String { "\(folder)/index.h5" }

  static func shardName(rank: Int, world: Int) -> String {
    String(format: "shard-%05d-of-%05d.h5", rank, world)
  }

  static func isShardName(_ name: String) -> Bool { name.hasPrefix("shard-") && name.hasSuffix(".h5") }

  /// The rank and the world size that a shard's name tells.
  static func place(ofShard name: String) -> (rank: Int, world: Int)? {
    guard let match = name.wholeMatch(of: /shard-([0-9]{5})-of-([0-9]{5})\.h5/), let rank = Int(match.1),
      let world = Int(match.2), rank < world
    else { return nil }
    return (rank, world)
  }

  /// - Throws: `Failure` 66 or 69 where the folder cannot be listed, which says nothing of what is there.
  func shardFiles() throws -> [String] { try names(inFolder: folder).filter(Self.isShardName).sorted() }

  /// Opens every shard and notes which rows are durable.
  ///
  /// - Parameter isWritable: for the caching pass.
  /// - Returns: the state against the rows that a run wants.
  /// - Throws: `Failure` 65 where a shard is damaged, 66 or 69 where one cannot be read.
  public func open(wanting wanted: [CacheRow], isWritable: Bool = false) throws -> CacheState {
    shards = []
    places = [:]
    let files = try shardFiles()
    guard !files.isEmpty else { return .absent }
    for file in ForeignHDF5.each(files.map { "\(folder)/\($0)" }, probe: probe) {
      let file = try file.get()
      fingerprint = fingerprint.adopting(file.attributes())
      let differences = fingerprint.differences(from: file.attributes())
      guard differences.isEmpty else { return .stale("\(file.path): " + differences.joined(separator: "; ")) }
      let shard = try CacheShard(file, layout: fingerprint.layout, isWritable: isWritable)
      for (row, key) in shard.rows.enumerated() where shard.written[row] == 1 && places[key] == nil {
        places[key] = (shards.count, row)
      }
      shards.append(shard)
    }
    let count = wanted.count { places[$0] != nil }
    return count == wanted.count ? .complete : .incomplete(written: count, total: wanted.count)
  }

  /// Reads one row's bytes, checked, as they lie in the file. Safe from several threads.
  ///
  /// - Parameter payload: room for `rowBytes`.
  /// - Throws: `Failure` 66 where the shard has vanished, 65 where the row is damaged, naming image and view.
  public func read(_ key: CacheRow, into payload: UnsafeMutableRawBufferPointer) throws {
    guard let place = places[key] else {
      throw Failure.internalError("\(folder): image \(key.imageID), view \(key.view) is not cached")
    }
    try shards[place.shard].read(row: place.row, into: payload)
  }

  // MARK: The caching pass

  /// One rank's work in the caching pass.
  public struct Work {
    /// What remains for this rank, in order.
    public let rows: [CacheRow]
    fileprivate let shard: CacheShard?
    fileprivate let slots: [Int]
  }

  /// Makes ready to write: the rows that this rank shall encode, and the shard that takes them.
  ///
  /// Rows that are durable stay where they are. Where this world size has shards already, their empty rows are filled,
  /// those that nobody wants with others. Rows that none of them has room for (more views, a damaged row of another world
  /// size's shard, all those of a shard that is gone) go into the shards that this world size lacks, or else are added
  /// to those that it has. Call on every rank after `open`, with the same rows, and let no rank write before all have
  /// returned.
  public func plan(_ wanted: [CacheRow], rank: Int, world: Int) throws -> Work {
    let missing = wanted.filter { places[$0] == nil }
    let paths = (0..<world).map { "\(folder)/\(Self.shardName(rank: $0, world: world))" }
    let ownWorld = shards.filter { paths.contains($0.path) }
    let (slots, homeless) = room(in: ownWorld, for: missing)
    let absent = paths.indices.filter { index in !ownWorld.contains { $0.path == paths[index] } }
    let takers = absent.isEmpty ? Array(paths.indices) : absent
    let share = takers.firstIndex(of: rank).map { index in
      Array(homeless[slice(of: homeless.count, part: index, among: takers.count)])
    }
    if absent.contains(rank) {
      guard !missing.isEmpty else { return Work(rows: [], shard: nil, slots: []) }
      try CacheShard.create(
        paths[rank], layout: fingerprint.layout, rows: share ?? [], attributes: fingerprint.attributes)
    } else if let share, !share.isEmpty {
      try grow(paths[rank], by: share)
    }
    let shard = try self.shard(paths[rank], isWritable: true)
    var own = slots[paths[rank]] ?? [:]
    for (row, key) in own where shard.rows[row] != key { try shard.assign(row: row, key) }
    let added = share?.count ?? 0
    for row in shard.rows.indices.suffix(added) { own[row] = shard.rows[row] }
    let filled = own.keys.sorted()
    return Work(rows: filled.map { shard.rows[$0] }, shard: shard, slots: filled)
  }

  /// Which of the rows that are missing go into which empty rows of shards.
  ///
  /// - Returns: by path and row; then the missing rows that there is no room for.
  private func room(
    in shards: [CacheShard], for missing: [CacheRow]
  ) -> (slots: [String: [Int: CacheRow]], homeless: [CacheRow]) {
    var left = Set(missing)
    var slots: [String: [Int: CacheRow]] = [:]
    var free: [(path: String, row: Int)] = []
    for shard in shards {
      for row in shard.rows.indices where shard.written[row] == 0 {
        if left.remove(shard.rows[row]) != nil {
          slots[shard.path, default: [:]][row] = shard.rows[row]
        } else {
          free.append((shard.path, row))
        }
      }
    }
    let homeless = missing.filter { left.contains($0) }
    for (place, key) in zip(free, homeless) { slots[place.path, default: [:]][place.row] = key }
    return (slots, Array(homeless.dropFirst(free.count)))
  }

  private func shard(_ path: String, isWritable: Bool) throws -> CacheShard {
    try CacheShard(ForeignHDF5(path, probe: probe), layout: fingerprint.layout, isWritable: isWritable)
  }

  /// Gives a shard room for more rows; what it holds is copied and checked, and the old file stands until the new one
  /// is whole.
  private func grow(_ path: String, by more: [CacheRow]) throws {
    let old = try shard(path, isWritable: false)
    try makeAtomically(path) { temporary in
      try CacheShard.create(
        temporary, layout: fingerprint.layout, rows: old.rows + more, attributes: fingerprint.attributes)
      let new = try shard(temporary, isWritable: true)
      let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: rowBytes, alignment: 64)
      defer { scratch.deallocate() }
      let written = old.rows.indices.filter { old.written[$0] == 1 }
      for row in written {
        try old.read(row: row, into: scratch)
        try new.write(row: row, UnsafeRawBufferPointer(scratch))
      }
      try new.commit(written)
    }
  }

  /// Writes one row of this rank's work.
  public func write(_ work: Work, _ index: Int, _ payload: UnsafeRawBufferPointer) throws {
    try work.shard?.write(row: work.slots[index], payload)
  }

  /// Makes the rows `indices` of this rank's work durable.
  public func commit(_ work: Work, _ indices: some Sequence<Int>) throws {
    try work.shard?.commit(indices.map { work.slots[$0] })
  }

  /// Checks the rows that an interrupted pass has left, on this rank's share of the shards; what is damaged is
  /// forgotten and will be written again.
  ///
  /// - Returns: how many rows were damaged.
  /// - Throws: `Failure` 66 or 69 where one cannot be read.
  public func recheck(rank: Int, world: Int) throws -> Int {
    var damaged = 0
    for (index, shard) in shards.enumerated() where index % world == rank {
      let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: rowBytes, alignment: 64)
      defer { scratch.deallocate() }
      for row in shard.rows.indices where shard.written[row] == 1 {
        do {
          try shard.read(row: row, into: scratch)
        } catch let failure as Failure {
          guard failure.code == .badData else { throw Self.leavingAlone(failure) }
          try shard.forget(row: row)
          damaged += 1
        }
      }
    }
    return damaged
  }
}
