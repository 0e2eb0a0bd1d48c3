import Failures
import Files
import Foundation
import Lanes

/// The feature cache as a folder: `index.h5` over `shard-RRRRR-of-WWWWW.h5` (docs/formats.md, "Feature cache").

/// What a cache was made from. A cache of another fingerprint is never used.
public struct CacheFingerprint: Equatable, Sendable {
  public let encoderSHA256: String
  /// Activation, heads, mean, std and a precision other than float32, as JSON: what the encoder's file does not say.
  public let encoderSettings: String
  public let viewDefinition: String
  public let datasetSHA256: String
  public let firstLoRABlock: Int
  /// Whether it is made for networks that read different layers of it.
  public let isShared: Bool
  public let layout: CacheLayout

  public init(
    encoderSHA256: String, encoderSettings: String, viewDefinition: String, datasetSHA256: String,
    firstLoRABlock: Int, isShared: Bool = false, layout: CacheLayout
  ) {
    self.encoderSHA256 = encoderSHA256
    self.encoderSettings = encoderSettings
    self.viewDefinition = viewDefinition
    self.datasetSHA256 = datasetSHA256
    self.firstLoRABlock = firstLoRABlock
    self.isShared = isShared
    self.layout = layout
  }

  /// The root attributes of every file of the cache.
  var attributes: [(name: String, value: HDF5Attribute)] {
    [
      ("format", .text("ala-feature-cache")), ("version", .integer(1)), ("encoder_sha256", .text(encoderSHA256)),
      ("encoder_settings", .text(encoderSettings)), ("view_definition", .text(viewDefinition)),
      ("dataset_sha256", .text(datasetSHA256)), ("first_lora_block", .integer(Int64(firstLoRABlock))),
      ("layers", .text("\(layout.layers)")), ("dtype", .text(layout.type.rawValue)),
    ] + (isShared ? [("shared", .integer(1))] : [])
  }

  /// The same where a file is a shared cache that holds all that is wanted of one: with the file's first LoRA block and
  /// layers in place of one's own. Layers from its h⁽ᵐ⁻¹⁾ on are computed of that.
  func adopting(_ found: [String: HDF5Attribute]) -> CacheFingerprint {
    guard !isShared, found["shared"] == .integer(1), case .integer(let block)? = found["first_lora_block"],
      case .text(let text)? = found["layers"],
      let layers = try? JSONDecoder().decode([Int].self, from: Data(text.utf8)),
      block >= 1, block <= firstLoRABlock, layers.allSatisfy({ (0..<Int(block)).contains($0) }),
      layers == Set(layers).sorted(), Set(layers).isSuperset(of: layout.layers.filter { $0 < block - 1 })
    else { return self }
    return CacheFingerprint(
      encoderSHA256: encoderSHA256, encoderSettings: encoderSettings, viewDefinition: viewDefinition,
      datasetSHA256: datasetSHA256, firstLoRABlock: Int(block), isShared: true,
      layout: CacheLayout(
        side: layout.side, tokens: layout.tokens, width: layout.width, layers: layers, type: layout.type))
  }

  /// The attributes in which a file differs, each with both values.
  func differences(from found: [String: HDF5Attribute]) -> [String] {
    attributes.compactMap { name, expected in
      guard found[name] != expected else { return nil }
      return "\(name) is \(found[name].map(Self.text) ?? "absent"), this run has \(Self.text(expected))"
    }
  }

  private static func text(_ value: HDF5Attribute) -> String {
    switch value {
    case .text(let text): text
    case .integer(let integer): "\(integer)"
    case .number(let number): "\(number)"
    }
  }
}

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
  private var shards: [CacheShard] = []
  /// Where each durable row is.
  private var places: [CacheRow: (shard: Int, row: Int)] = [:]

  public init(folder: String, fingerprint: CacheFingerprint) {
    self.folder = folder
    self.fingerprint = fingerprint
  }

  static func shardName(rank: Int, world: Int) -> String {
    String(format: "shard-%05d-of-%05d.h5", rank, world)
  }

  private func shardFiles() -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
      .filter { $0.hasPrefix("shard-") && $0.hasSuffix(".h5") }.sorted()
  }

  /// Opens every shard and notes which rows are durable.
  ///
  /// - Parameter isWritable: for the caching pass.
  /// - Returns: the state against the rows that a run wants.
  /// - Throws: `Failure` 65 where a shard is damaged.
  public func open(wanting wanted: [CacheRow], isWritable: Bool = false) throws -> CacheState {
    shards = []
    places = [:]
    let files = shardFiles()
    guard !files.isEmpty else { return .absent }
    for name in files {
      let path = "\(folder)/\(name)"
      let file = try HDF5File.open(path)
      let found = try file.attributes()
      fingerprint = fingerprint.adopting(found)
      let differences = fingerprint.differences(from: found)
      try file.close()
      guard differences.isEmpty else { return .stale("\(path): " + differences.joined(separator: "; ")) }
      let shard = try CacheShard(path: path, layout: fingerprint.layout, isWritable: isWritable)
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

  /// Widens the features of a row that has been read to float32. Its pixels [S, S, 3] begin the payload.
  ///
  /// - Parameters:
  ///   - layers: for each stored layer, [N, D]; nil where it is not wanted.
  ///   - tail: [1 + N, D].
  public func unpack(
    _ payload: UnsafeRawPointer, layers: [UnsafeMutablePointer<Float>?], tail: UnsafeMutablePointer<Float>
  ) {
    let layout = fingerprint.layout
    var source = payload + layout.pixelBytes
    for layer in layers {
      if let layer { widen(source, to: layer, count: layout.layerCount) }
      source += layout.layerCount * layout.type.bytes
    }
    widen(source, to: tail, count: layout.tailCount)
  }

  private func widen(_ source: UnsafeRawPointer, to target: UnsafeMutablePointer<Float>, count: Int) {
    if fingerprint.layout.type == .float32 {
      UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: count * 4)
      return
    }
    var index = 0
    while index + 8 <= count {
      let half = (source + 2 * index).loadUnaligned(as: SIMD8<Float16>.self)
      UnsafeMutableRawPointer(target + index).storeBytes(of: SIMD8<Float>(half), as: SIMD8<Float>.self)
      index += 8
    }
    while index < count {
      target[index] = Float((source + 2 * index).loadUnaligned(as: Float16.self))
      index += 1
    }
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
  /// Rows that are durable stay where they are. Where this world size has shards already, their empty rows are
  /// filled, and rows that none of them has room for (more views, or a damaged row of another world size's shard) are
  /// added to them; else what is missing is cut evenly over new ones. Call on every rank after `open`, with the same
  /// rows, and let no rank write before all have returned (`sweep` relies on it).
  public func plan(_ wanted: [CacheRow], rank: Int, world: Int) throws -> Work {
    let path = "\(folder)/\(Self.shardName(rank: rank, world: world))"
    let missing = wanted.filter { places[$0] == nil }
    let paths = Set((0..<world).map { "\(folder)/\(Self.shardName(rank: $0, world: world))" })
    let ownWorld = shards.filter { paths.contains($0.path) }
    let isOwnWorld = ownWorld.count == world
    let wantedMissing = Set(missing)
    let withRoom = ownWorld.flatMap { shard in
      shard.rows.indices.filter { shard.written[$0] == 0 }.map { shard.rows[$0] }
    }
    let roomy = Set(withRoom)
    let homeless = isOwnWorld ? missing.filter { !roomy.contains($0) } : missing
    let share = Array(homeless[slice(of: homeless.count, part: rank, among: world)])
    if !isOwnWorld {
      guard !missing.isEmpty else { return Work(rows: [], shard: nil, slots: []) }
      try CacheShard.create(path, layout: fingerprint.layout, rows: share, attributes: fingerprint.attributes)
    } else if !share.isEmpty {
      try grow(path, by: share)
    }
    let shard = try CacheShard(path: path, layout: fingerprint.layout, isWritable: true)
    let slots = shard.rows.indices.filter { shard.written[$0] == 0 && wantedMissing.contains(shard.rows[$0]) }
    return Work(rows: slots.map { shard.rows[$0] }, shard: shard, slots: slots)
  }

  /// Gives a shard room for more rows; what it holds is copied and checked, and the old file stands until the new one
  /// is whole.
  private func grow(_ path: String, by more: [CacheRow]) throws {
    let old = try CacheShard(path: path, layout: fingerprint.layout, isWritable: false)
    try makeAtomically(path) { temporary in
      try CacheShard.create(
        temporary, layout: fingerprint.layout, rows: old.rows + more, attributes: fingerprint.attributes)
      let new = try CacheShard(path: temporary, layout: fingerprint.layout, isWritable: true)
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

  /// Room for a row's bytes as they lie in the file.
  public var rowBytes: Int {
    let layout = fingerprint.layout
    return layout.pixelBytes + (layout.layers.count * layout.layerCount + layout.tailCount) * layout.type.bytes
  }

  /// Puts a row's values into `payload` (`rowBytes`), narrowed to the cache's type.
  ///
  /// - Parameter pixels: [S, S, 3].
  /// - Throws: `Failure` 65 where a feature does not fit float16.
  public func pack(
    _ payload: UnsafeMutableRawBufferPointer, pixels: UnsafePointer<UInt8>, layers: [UnsafePointer<Float>],
    tail: UnsafePointer<Float>, key: CacheRow
  ) throws {
    let layout = fingerprint.layout
    guard var target = payload.baseAddress else { return }
    target.copyMemory(from: pixels, byteCount: layout.pixelBytes)
    target += layout.pixelBytes
    var isFinite = true
    for (source, count) in layers.map({ ($0, layout.layerCount) }) + [(tail, layout.tailCount)] {
      if layout.type == .float32 {
        target.copyMemory(from: source, byteCount: count * 4)
      } else {
        for index in 0..<count {
          let half = Float16(source[index])
          isFinite = isFinite && half.isFinite
          (target + 2 * index).storeBytes(of: half, as: Float16.self)
        }
      }
      target += count * layout.type.bytes
    }
    guard isFinite else {
      throw Failure.badData(
        "image \(key.imageID), view \(key.view): a feature is beyond float16; set cache.dtype to float32")
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
  public func recheck(rank: Int, world: Int) throws -> Int {
    var damaged = 0
    for (index, shard) in shards.enumerated() where index % world == rank {
      let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: rowBytes, alignment: 64)
      defer { scratch.deallocate() }
      for row in shard.rows.indices where shard.written[row] == 1 {
        do {
          try shard.read(row: row, into: scratch)
        } catch {
          try shard.forget(row: row)
          damaged += 1
        }
      }
    }
    return damaged
  }

  /// Whether a file looks like the index of a cache: it is not opened, for it may be anybody's.
  public static func isIndex(_ path: String) -> Bool {
    guard let handle = FileHandle(forReadingAtPath: path) else { return false }
    defer { try? handle.close() }
    let head = (try? handle.read(upToCount: 1 << 20)) ?? Data()
    return head.range(of: Data("ala-feature-cache".utf8)) != nil
  }

  /// Removes what a killed pass has left half-made: temporary files, and the shards of a world size that did not
  /// get all of its shards. Writing starts only when all are there, so these hold no row.
  public func sweep() {
    removeTemporaries(in: folder)
    let byWorld = Dictionary(grouping: shardFiles()) { $0.suffix(8).prefix(5) }
    for (world, files) in byWorld where Int(world) != files.count {
      for name in files { unlink("\(folder)/\(name)") }
    }
  }

  /// Removes every file of the cache.
  public func clear() {
    for name in shardFiles() + ["index.h5"] { unlink("\(folder)/\(name)") }
  }

  // MARK: Index and verification

  /// Writes `index.h5`: the rows, in the order given, through virtual data sets over the shards.
  public func writeIndex(_ rows: [CacheRow]) throws {
    let path = "\(folder)/index.h5"
    var parts: [HDF5File.VirtualRows] = []
    var target = 0
    while target < rows.count {
      guard let place = places[rows[target]] else {
        throw Failure.internalError("\(path): image \(rows[target].imageID) is not cached")
      }
      var count = 1
      while target + count < rows.count, let next = places[rows[target + count]], next.shard == place.shard,
        next.row == place.row + count
      { count += 1 }
      parts.append(
        HDF5File.VirtualRows(
          file: (shards[place.shard].path as NSString).lastPathComponent, fileRows: shards[place.shard].rows.count,
          firstSource: place.row, firstTarget: target, count: count))
      target += count
    }
    try makeAtomically(path) { temporary in
      let file = try HDF5File.create(temporary, for: path, usesLatest: true)
      for dataset in fingerprint.layout.datasets(rows: rows.count) {
        try file.makeVirtualDataset(dataset.name, dataset.type, shape: dataset.shape, parts)
      }
      try file.write(fingerprint.attributes)
      try file.close()
    }
  }

  /// Reads every durable row and the index; what is wrong, one sentence each.
  public func verify(_ wanted: [CacheRow], rank: Int, world: Int) -> [String] {
    var problems: [String] = []
    for (index, shard) in shards.enumerated() where index % world == rank {
      let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: rowBytes, alignment: 64)
      defer { scratch.deallocate() }
      for row in shard.rows.indices where shard.written[row] == 1 {
        do {
          try shard.read(row: row, into: scratch)
        } catch {
          problems.append("\(error)")
        }
      }
    }
    guard rank == 0 else { return problems }
    let missing = wanted.filter { places[$0] == nil }
    if let first = missing.first {
      problems.append(
        "\(folder): \(missing.count) of \(wanted.count) rows are not written, image \(first.imageID), view \(first.view) the first of them"
      )
    }
    do {
      let file = try HDF5File.open("\(folder)/index.h5")
      let ids = try file.readArray("image_id", .int32, of: Int32.self)
      let views = try file.readArray("view", .int32, of: Int32.self)
      if zip(ids, views).map({ CacheRow(imageID: $0, view: $1) }) != wanted {
        problems.append("\(folder)/index.h5: does not list the rows of this configuration")
      }
      try file.close()
    } catch {
      problems.append("\(error)")
    }
    return problems
  }
}
