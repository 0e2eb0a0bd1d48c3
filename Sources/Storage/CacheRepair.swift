import Failures
import Files
import Foundation
import Lanes

/// What becomes of a cache's files that are of no use.
extension FeatureCache {
  /// Sets aside what is damaged, so that the pass makes its rows anew, and removes what a killed pass has left
  /// half-made: temporary files, and the shards of a world size that did not get all of its shards, where they hold no
  /// row. A file that is set aside is renamed, never removed; and only one that was read and is wrong, or leads nowhere, is:
  /// what this process cannot read at this moment may be sound.
  ///
  /// A cache that was made from something else is left alone as a whole.
  ///
  /// - Parameter wanted: every row of the whole cache, by which a shard is known from its copy in another's place.
  /// - Returns: a sentence for each file that was set aside.
  /// - Throws: `Failure` 73 where a file cannot be renamed, 66 where one cannot be read, 69 where somebody has one locked, or
  ///   the machine or a limit keeps it from being examined; it is left as it is.
  public func repair(wanting wanted: [CacheRow]) throws -> [String] {
    removeTemporaries(in: folder)
    var told: [String] = []
    func setAside(_ path: String, _ reason: String) throws {
      let name = try Self.setAside(path)
      told.append("\(reason); it is set aside as \(name)")
    }
    func setAside(_ path: String, _ failure: Failure, _ what: String) throws {
      guard isFault(failure, of: path) else { throw Self.leavingAlone(failure) }
      var status = stat()
      // Somebody may have removed it since.
      if lstat(path, &status) == 0 { try setAside(path, "\(failure.message), and \(what)") }
    }
    var sound: [ForeignHDF5] = []
    let paths = try shardFiles().map { "\(folder)/\($0)" }
    for (path, file) in zip(paths, ForeignHDF5.each(paths, probe: probe)) {
      switch file {
      case .success(let file): sound.append(file)
      case .failure(let failure): try setAside(path, failure, "its rows are made anew")
      }
    }
    let index = try soundIndex { try setAside(indexPath, $0, "is made anew") }
    // A file that differs from others of its own cache is damaged; where none fits, the cache is another's.
    guard (sound + (index.map { [$0] } ?? [])).contains(where: { differences($0).isEmpty }) else { return told }
    if let index, let difference = differences(index).first { try setAside(index.path, "\(index.path): \(difference)") }
    var kept: [CacheShard] = []
    for file in sound {
      do {
        if let difference = differences(file).first { throw Failure.badData("\(file.path): \(difference)") }
        let layout = fingerprint.adopting(file.attributes()).layout
        kept.append(try CacheShard(file, layout: layout, isWritable: false))
      } catch let failure as Failure {
        try setAside(file.path, failure, "its rows are made anew")
      }
    }
    for (copy, original) in Self.copies(among: kept, wanted) {
      try setAside(
        copy.path, "\(copy.path): holds the rows of \(Self.name(original)), and those that it should hold are made anew"
      )
    }
    sweep(kept)
    return told
  }

  /// Adds to a failure what can be done where it lasts.
  static func leavingAlone(_ failure: Failure) -> Failure {
    guard failure.code == .missingInput else { return failure }
    return .missingInput(
      "\(failure.message). It is left as it is: make it readable and run the same command again, or, if it is lost, remove it "
        + "and its rows are made anew")
  }

  /// Removes every file of the cache, but for what was set aside.
  ///
  /// - Throws: `Failure` 66 or 69 where the folder cannot be listed.
  public func clear() throws {
    for name in try shardFiles() + ["index.h5"] { unlink("\(folder)/\(name)") }
  }

  private func differences(_ file: ForeignHDF5) -> [String] {
    fingerprint.adopting(file.attributes()).differences(from: file.attributes())
  }

  /// - Parameter setAside: called where the index cannot be used.
  /// - Returns: nil where there is none that can be used.
  private func soundIndex(_ setAside: (Failure) throws -> Void) throws -> ForeignHDF5? {
    var status = stat()
    guard lstat(indexPath, &status) == 0 else { return nil }
    do {
      let index = try ForeignHDF5(indexPath, probe: probe)
      let found = index.attributes()
      guard found["format"] == .text(CacheFingerprint.format), found["version"] == .integer(CacheFingerprint.version)
      else {
        throw Failure.badData(
          "\(indexPath): is no index of a feature cache of version \(CacheFingerprint.version)")
      }
      return index
    } catch let failure as Failure {
      try setAside(failure)
      return nil
    }
  }

  /// Shards that hold the rows of another one: whose first row is not the first that a pass gives to its rank, or else
  /// the later ones.
  private static func copies(
    among shards: [CacheShard], _ wanted: [CacheRow]
  ) -> [(copy: CacheShard, original: CacheShard)] {
    func isInPlace(_ shard: CacheShard) -> Bool {
      guard let (rank, world) = place(ofShard: name(shard)) else { return false }
      return wanted[slice(of: wanted.count, part: rank, among: world)].first == shard.rows.first
    }
    return Dictionary(grouping: shards.filter { $0.written.contains(1) }, by: \.rows)
      .values.flatMap { alike -> [(copy: CacheShard, original: CacheShard)] in
        guard alike.count > 1, let original = alike.first(where: isInPlace) ?? alike.first else { return [] }
        return alike.filter { $0 !== original }.map { ($0, original) }
      }.sorted { $0.copy.path < $1.copy.path }
  }

  private static func name(_ shard: CacheShard) -> String { (shard.path as NSString).lastPathComponent }

  private func sweep(_ shards: [CacheShard]) {
    for (world, members) in Dictionary(grouping: shards, by: { Self.place(ofShard: Self.name($0))?.world })
    where world != members.count && members.allSatisfy({ !$0.written.contains(1) }) {
      for shard in members { unlink(shard.path) }
    }
  }

  /// Renames a file to a name that is free.
  ///
  /// - Returns: the new name.
  private static func setAside(_ path: String) throws -> String {
    var status = stat()
    var aside = "\(path).damaged"
    var number = 1
    while lstat(aside, &status) == 0 {
      number += 1
      aside = "\(path).damaged-\(number)"
    }
    guard rename(path, aside) == 0 else { throw cannotWrite(aside) }
    syncFolder(of: path)
    return aside
  }
}
