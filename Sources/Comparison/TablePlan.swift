import Estimation
import Cluster
import Experiments
import Failures
import Foundation
import Layers
import Networks
import Reporting
import Settings

/// What a table is made of: rows and the networks that they explain, the caches that these share, and what is known of
/// all of it before anything starts.
struct TablePlan {
  let base: Configuration
  /// The table's folder.
  let out: String
  let rows: [ComparedRow]
  let networks: [ComparedNetwork]
  let facts: [NetworkFacts]
  /// Of each network.
  let grounds: [Ground]
  /// None where the table trains live.
  let caches: [CacheGroup]
  /// MiB of the rank with the most, while the networks were measured.
  let peakMemory: Int
  /// Reading data set and encoder, which every stage does.
  let secondsToBegin: Double
  /// Who was measured, in words.
  let workers: String

  var seeds: [UInt64] { base.table.seeds }

  /// Resolves the rows, makes each network once, and measures its speed. Call on every rank.
  ///
  /// - Throws: `Failure` 78 naming a row or setting, 65 or 66 for data and weights.
  init(_ base: Configuration, out: String, cluster: Cluster) throws {
    self.base = base
    self.out = out
    let resolution = try cluster.agree { try RowResolution(base) }
    (rows, networks) = (resolution.rows, resolution.networks)
    let standIn = FileManager.default.temporaryDirectory.path + "/.ala-\(UUID().uuidString)-\(StandIn.mark)"
    defer { unlink(standIn) }
    let survey = try Survey(networks, rows: rows, standIn: standIn, cluster: cluster)
    let isCached = base.cache.dir != nil
    let caches = CacheGroup.make(networks, survey.shapes, grounds: survey.grounds.map(\.key))
    self.caches = isCached ? caches : []
    grounds = survey.grounds
    facts = try networks.indices.map { index in
      let tail = caches.first { $0.networks.contains(index) }.map { $0.firstLoRABlock - 1 }
      return try survey.measure(index, input: isCached ? .features(tail: tail ?? 0) : .pixels)
    }
    peakMemory = cluster.maximum(survey.peakMemory)
    secondsToBegin = survey.secondsToBegin
    workers = "\(cluster.size) rank\(cluster.size == 1 ? "" : "s") x \(survey.threadCount) threads"
  }

  /// The folder of a network's run.
  func runFolder(_ network: Int, seed: UInt64) -> String {
    "\(out)/\(TableStages.runFolder(networks[network].name, seed: seed))"
  }

  /// The folder of a row's evaluation.
  func evaluationFolder(_ row: ComparedRow, seed: UInt64) -> String { "\(out)/runs/\(row.name)/\(seed)/test" }

  /// The cache that a network reads; nil where it trains live.
  func cache(of network: Int) -> CacheGroup? { caches.first { $0.networks.contains(network) } }

  func cacheFolder(_ cache: CacheGroup, seed: UInt64) -> String {
    "\(base.cache.dir ?? "")/\(seed)\(cache.suffix)"
  }

  /// What says in the table's folder that a cache has been made.
  func cacheRecord(_ cache: CacheGroup, seed: UInt64) -> String { "\(out)/.cache-\(seed)\(cache.suffix).json" }

  /// Its file by which a cache is known again.
  static let cacheFile = "index.h5"

  /// The settings of a network's run.
  func configuration(_ network: Int, seed: UInt64) throws -> Configuration {
    try networks[network].configuration.overlaid(
      assignments(network, seed: seed), place: "row \(networks[network].name)")
  }

  /// The settings of a row's evaluation.
  func configuration(_ row: ComparedRow, seed: UInt64) throws -> Configuration {
    try row.configuration.overlaid(assignments(row.network, seed: seed), place: "row \(row.name)")
  }

  private func assignments(_ network: Int, seed: UInt64) -> [RowSetting.Assignment] {
    var result = [
      RowSetting.Assignment("run.seed", "\(seed)"), .init("run.dir", runFolder(network, seed: seed)),
    ]
    if let cache = cache(of: network) {
      result.append(.init("cache.dir", cacheFolder(cache, seed: seed)))
      result.append(.init("cache.layers", "\(cache.layers)"))
    }
    if let classifier = networks[network].classifier {
      result.append(.init(StandIn.setting, runFolder(classifier, seed: seed)))
    }
    return result
  }

  /// Images that every row is evaluated on.
  var evaluatedCount: Int { min(base.table.limit ?? .max, grounds[rows[0].network].testCount) }
}

/// What stands for the checkpoint of a classifier that is not trained yet, so that a decoder on it can be measured.
enum StandIn {
  static let setting = "fcam.classifier"
  static let mark = "stand-in.h5"
}
