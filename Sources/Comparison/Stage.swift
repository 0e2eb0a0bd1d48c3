import Digests
import Experiments
import Explaining
import Failures
import Files
import Foundation
import Settings
import Storage

/// The stages of a table, and how each stands.
enum Stage: Hashable {
  /// Of a cache, by its place in the plan's list.
  case cache(Int, seed: UInt64)
  /// Of a network.
  case train(Int, seed: UInt64)
  /// Of a row.
  case evaluate(Int, seed: UInt64)
}

/// How a stage stands.
enum StageState: UInt8 {
  /// Not begun, or resting on one that is not done.
  case isOpen
  /// Begun with the same inputs.
  case isBegun
  /// Begun or done with other inputs, and begins anew.
  case isStale
  /// Done, but its files are no longer what it has made, and begins anew.
  case isDamaged
  /// A cache that has been made, and is looked through again before those that it is for are trained.
  case isMade
  case isDone

  /// Whether the plan, and who looks on, count it among those that are done.
  var countsAsDone: Bool { self == .isDone || self == .isMade }
}

extension TablePlan {
  /// A format of what digests cover; another one makes every stage anew.
  private static let format = "1"

  static let trainRecord = ".train.json"
  static let evaluateRecord = ".evaluate.json"

  /// What an evaluation is known again by.
  static let evaluationFiles = ["summary.json", "per_image.csv", "explanations.h5"]

  // MARK: Inputs

  /// The digest of everything that a network's weights depend on.
  ///
  /// - Returns: nil while the classifier that it explains is not trained.
  func trainingInputs(_ network: Int, seed: UInt64) throws -> String? {
    let configuration = try configuration(network, seed: seed)
    var lines = Self.settings(configuration, of: networks[network].kind) { !$0.mayDiffer }
    lines += groundLines(network)
    if let cache = cache(of: network) {
      lines.append("cached: \(configuration.cache.views) \(configuration.cache.dtype), from \(cache.firstLoRABlock)")
    }
    if let classifier = networks[network].classifier {
      guard let digest = trainedDigest(classifier, seed: seed) else { return nil }
      lines.append("explains \(digest)")
    } else if let file = configuration.fcam.classifier, networks[network].kind == "fcam" {
      lines.append("explains \(try SHA256.ofFile(checkpointPath(file)))")
    }
    return Self.digest(lines)
  }

  /// The digest of everything that a row's evaluation depends on.
  ///
  /// - Returns: nil while its network is not trained.
  func evaluationInputs(_ row: ComparedRow, seed: UInt64) throws -> String? {
    guard let model = trainedDigest(row.network, seed: seed) else { return nil }
    let configuration = try configuration(row, seed: seed)
    var lines = Self.settings(configuration, of: networks[row.network].kind) { key in
      key.path.hasPrefix("evaluation.") || (!key.mayDiffer && !key.path.hasPrefix("training."))
    }
    lines += groundLines(row.network)
    lines += ["model \(model)", "method \(row.method.facts.identity)", "limit \(evaluatedCount)"]
    lines += row.method.settings(configuration).sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    return Self.digest(lines)
  }

  /// The digest of everything that the training of a cache's networks depends on, but for other networks' weights.
  func cacheInputs(_ cache: CacheGroup, seed: UInt64) throws -> String {
    let lines = try cache.networks.flatMap { network in
      let configuration = try configuration(network, seed: seed)
      return Self.settings(configuration, of: networks[network].kind) { !$0.mayDiffer } + groundLines(network)
    }
    return Self.digest(lines + [cacheFolder(cache, seed: seed), "\(cache.layers), from \(cache.firstLoRABlock)"])
  }

  private func groundLines(_ network: Int) -> [String] {
    let ground = grounds[network]
    return [
      ground.datasetSHA256, ground.annotationSHA256, ground.maskSHA256, ground.encoderSHA256, ground.encoderChoices,
    ]
  }

  private static func digest(_ lines: [String]) -> String { SHA256.of(([format] + lines).joined(separator: "\n")) }

  /// Sections that a kind of network does not read.
  private static let unread = [
    "abn": ["lora.", "side.", "fcam."], "cam": ["lora.", "side.", "attention.", "perception.", "fcam."],
    "fcam": ["lora.", "attention.", "perception."], "lattice": ["fcam."],
  ]

  private static func settings(
    _ configuration: Configuration, of kind: String, _ isChosen: (SettingKey) -> Bool
  ) -> [String] {
    SettingTable.keys.filter(isChosen).map(\.path)
      .filter { path in path != StandIn.setting && !(unread[kind] ?? []).contains { path.hasPrefix($0) } }
      .map { "\($0): \(configuration.yaml($0))" }
  }

  // MARK: States

  /// Of all stages: what the plan tells, a table goes on from, and `ala watch` is told.
  func states() throws -> [Stage: StageState] {
    Dictionary(uniqueKeysWithValues: try stages.map { ($0, try state($0)) })
  }

  /// As it stands in the table's folder; what rests on a stage that is not done is open.
  func state(_ stage: Stage) throws -> StageState {
    switch stage {
    case .cache(let index, let seed):
      let readers = try caches[index].networks.map { try state(.train($0, seed: seed)) }
      if readers.allSatisfy({ $0 == .isDone }) { return .isDone }
      let record = StageRecord.read(cacheRecord(caches[index], seed: seed))
      let isMade = try record?.inputs == cacheInputs(caches[index], seed: seed)
      return isMade && record?.isSound(in: cacheFolder(caches[index], seed: seed)) == true ? .isMade : .isOpen
    case .train(let network, let seed):
      if let classifier = networks[network].classifier, try state(.train(classifier, seed: seed)) != .isDone {
        return .isOpen
      }
      return try state(
        in: runFolder(network, seed: seed), Self.trainRecord, inputs: trainingInputs(network, seed: seed))
    case .evaluate(let index, let seed):
      let row = rows[index]
      guard try state(.train(row.network, seed: seed)) == .isDone else { return .isOpen }
      return try state(
        in: evaluationFolder(row, seed: seed), Self.evaluateRecord, inputs: evaluationInputs(row, seed: seed))
    }
  }

  private func state(in folder: String, _ name: String, inputs: String?) -> StageState {
    guard let record = StageRecord.read("\(folder)/\(name)") else { return .isOpen }
    guard record.inputs == inputs else { return .isStale }
    return record.outputs == nil ? .isBegun : record.isSound(in: folder) ? .isDone : .isDamaged
  }

  /// The weights of a network that is trained.
  func trainedDigest(_ network: Int, seed: UInt64) -> String? {
    let folder = runFolder(network, seed: seed)
    guard let record = StageRecord.read("\(folder)/\(Self.trainRecord)"), record.outputs != nil,
      let attributes = try? Checkpoint.attributesIfOurs("\(folder)/\(Self.checkpoint(of: folder))"),
      case .text(let digest)? = attributes["model_sha256"]
    else { return nil }
    return digest
  }

  /// The checkpoint of a run that is evaluated, by its name in the run's folder.
  static func checkpoint(of folder: String) -> String {
    let best = "checkpoints/best.h5"
    return FileManager.default.fileExists(atPath: "\(folder)/\(best)") ? best : "checkpoints/last.h5"
  }

  private static let mostSettingsBytes = 1 << 20

  /// What an unfinished run was begun with that the settings say otherwise now.
  func differences(fromRunOf network: Int, seed: UInt64) throws -> [(key: String, own: String, other: String)] {
    let path = "\(runFolder(network, seed: seed))/config.yaml"
    guard let text = try? readText(path, most: Self.mostSettingsBytes),
      let stored = try? Configuration(resolvedYAML: text, place: path)
    else { return [] }
    return try configuration(network, seed: seed).differences(from: stored)
  }
}
