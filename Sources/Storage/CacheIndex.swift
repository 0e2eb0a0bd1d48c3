import Failures
import Files
import Foundation

/// `index.h5`, by which other programs read a cache as one.
extension FeatureCache {
  /// Whether a file looks like one of a cache: it is not opened, for it may be anybody's.
  public static func isOwnFile(_ path: String) -> Bool {
    let head = Data((try? readBeginning(of: path, count: 1 << 20)) ?? [])
    return head.range(of: Data(CacheFingerprint.format.utf8)) != nil
  }

  /// Where the rows lie, in runs.
  ///
  /// - Returns: nil where one of them is not cached.
  private func runs(_ rows: [CacheRow]) -> [HDF5VirtualRows]? {
    var parts: [HDF5VirtualRows] = []
    var target = 0
    while target < rows.count {
      guard let place = places[rows[target]] else { return nil }
      var count = 1
      while target + count < rows.count, let next = places[rows[target + count]], next.shard == place.shard,
        next.row == place.row + count
      { count += 1 }
      parts.append(
        HDF5VirtualRows(
          file: (shards[place.shard].path as NSString).lastPathComponent, firstSource: place.row, firstTarget: target,
          count: count))
      target += count
    }
    return parts
  }

  /// Writes `index.h5`: the rows, in the order given, through virtual data sets over the shards.
  public func writeIndex(_ rows: [CacheRow]) throws {
    guard let parts = runs(rows) else { throw Failure.internalError("\(indexPath): not every row is cached") }
    try makeAtomically(indexPath) { temporary in
      let file = try HDF5File.create(temporary, for: indexPath, usesLatest: true)
      for dataset in fingerprint.layout.datasets(rows: rows.count) {
        try file.makeVirtualDataset(dataset.name, dataset.type, shape: dataset.shape, parts)
      }
      try file.write(fingerprint.attributes)
      try file.close()
    }
  }

  /// What is wrong with the index of a complete cache; nil where nothing is.
  ///
  /// - Throws: `Failure` 66 or 69 where it cannot be read.
  private func indexProblem(_ rows: [CacheRow]) throws -> String? {
    do {
      let file = try ForeignHDF5(indexPath, probe: probe)
      let differences = fingerprint.differences(from: file.attributes())
      guard differences.isEmpty else { return "\(indexPath): " + differences.joined(separator: "; ") }
      let parts = runs(rows)
      for expected in fingerprint.layout.datasets(rows: rows.count) {
        let found = try file.dataset(expected.name)
        guard found.shape == expected.shape, found.type == expected.type, found.parts == parts else {
          return "\(indexPath): data set \(expected.name) does not list the rows of this configuration"
        }
      }
      return nil
    } catch let failure as Failure where isFault(failure, of: indexPath) {
      return failure.message
    }
  }

  /// Reads every durable row and the index; what is wrong, one sentence each.
  ///
  /// - Throws: `Failure` 66 or 69 where one cannot be read.
  public func verify(_ wanted: [CacheRow], rank: Int, world: Int) throws -> [String] {
    var problems: [String] = []
    let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: rowBytes, alignment: 64)
    defer { scratch.deallocate() }
    for (index, shard) in shards.enumerated() where index % world == rank {
      for row in shard.rows.indices where shard.written[row] == 1 {
        do {
          try shard.read(row: row, into: scratch)
        } catch let failure as Failure where failure.code == .badData {
          problems.append(failure.message)
        }
      }
    }
    guard rank == 0 else { return problems }
    let missing = wanted.filter { places[$0] == nil }
    if let first = missing.first {
      problems.append(
        "\(folder): \(missing.count) of \(wanted.count) rows are not written, image \(first.imageID), view \(first.view) the first of them"
      )
    } else if let problem = try indexProblem(wanted) {
      problems.append(problem)
    }
    return problems
  }
}
