import Estimation
import Files
import Foundation
import Settings

/// The plan for people, and as `plan.json`.
extension TablePlan {
  /// All stages in their order: seed by seed the caches, the networks, the rows.
  var stages: [Stage] {
    seeds.flatMap { seed in
      caches.indices.map { .cache($0, seed: seed) } + trainingOrder.map { .train($0, seed: seed) }
        + rows.indices.map { .evaluate($0, seed: seed) }
    }
  }

  /// Networks behind the classifiers that they are trained on.
  private var trainingOrder: [Int] {
    networks.indices.filter { networks[$0].classifier == nil }
      + networks.indices.filter { networks[$0].classifier != nil }
  }

  /// What a stage is called in messages.
  func name(_ stage: Stage) -> String {
    switch stage {
    case .cache(let index, let seed): "cache \(seed)\(caches[index].suffix)"
    case .train(let network, let seed): "train \(networks[network].name), seed \(seed)"
    case .evaluate(let row, let seed): "evaluate \(rows[row].name), seed \(seed)"
    }
  }

  /// The plan with what it takes on this machine.
  ///
  /// - Parameters:
  ///   - states: of all stages.
  ///   - workers: how many ranks and threads were measured.
  func lines(_ states: [Stage: StageState], workers: String) -> [String] {
    let estimate = CostEstimate(plan: self)
    var lines = ["\(rows.count) rows x \(seeds.count) seeds, \(networks.count) networks; \(imagesText)", ""]
    lines += networkLines(estimate) + [""] + cacheLines(estimate) + [""] + rowLines(estimate) + [""]
    let open = stages.filter { states[$0]?.countsAsDone != true }
    let seconds = open.reduce(0) { $0 + estimate.seconds($1) }
    let bytes = open.reduce(estimate.tableBytes) { $0 + estimate.bytes($1) }
    lines.append(
      "\(stages.count - open.count) of \(stages.count) stages are done; left at most \(Quantity.words(seconds: seconds)) "
        + "(\(workers)), \(Quantity.words(bytes: bytes)) of disk; memory of a rank at least \(peakMemory) MiB")
    if let free = freeBytes(near: out), free < bytes {
      lines.append("warning: \(out) has \(Quantity.words(bytes: free)) of disk left")
    }
    lines += stages.compactMap { stage in
      switch states[stage] {
      case .isStale: "\(name(stage)): was made from other settings or data, and begins anew\(differences(stage))"
      case .isDamaged: "\(name(stage)): its files are not what it made, and it begins anew"
      default: nil
      }
    }
    return lines
  }

  var imagesText: String {
    let all = grounds[rows[0].network].testCount
    return evaluatedCount < all
      ? "\(evaluatedCount) of \(all) test images, a fixed random subset (data.split_seed \(base.data.splitSeed))"
      : "all \(all) test images"
  }

  private func networkLines(_ estimate: CostEstimate) -> [String] {
    networks.indices.map { index in
      let network = networks[index]
      var line = "network \(network.name): \(network.kind), \(facts[index].shape.trainedCount) parameters"
      if let cache = cache(of: index) {
        let shape = facts[index].shape
        line +=
          ", reads \(cache.readBy(frozenLayers: shape.frozenLayers, firstLoRABlock: shape.firstLoRABlock)) of cache SEED\(cache.suffix)"
      } else {
        line += ", trains live"
      }
      if let classifier = network.classifier { line += ", explains network \(networks[classifier].name)" }
      return line + "; \(words(.train(index, seed: seeds[0]), estimate)) a seed"
    }
  }

  private func cacheLines(_ estimate: CostEstimate) -> [String] {
    caches.indices.map { index in
      let cache = caches[index]
      let layers = cache.layers.map { "h\($0), " }.joined()
      return "cache SEED\(cache.suffix): \(layers)h\(cache.firstLoRABlock - 1), for "
        + cache.networks.map { networks[$0].name }.joined(separator: ", ")
        + "; \(words(.cache(index, seed: seeds[0]), estimate)) a seed"
    }
  }

  private func rowLines(_ estimate: CostEstimate) -> [String] {
    rows.indices.map { index in
      "row \(rows[index].name): method \(rows[index].method.facts.name), of network \(networks[rows[index].network].name); "
        + "\(words(.evaluate(index, seed: seeds[0]), estimate)) a seed"
    }
  }

  private func words(_ stage: Stage, _ estimate: CostEstimate) -> String {
    "\(Quantity.words(seconds: estimate.seconds(stage))), \(Quantity.words(bytes: estimate.bytes(stage)))"
  }

  private func differences(_ stage: Stage) -> String {
    guard case .train(let network, let seed) = stage,
      let found = try? differences(fromRunOf: network, seed: seed), !found.isEmpty
    else { return "" }
    return ": " + found.map { "\($0.key) is \($0.own), was \($0.other)" }.joined(separator: "; ")
  }

  // MARK: plan.json

  private struct File: Encodable {
    struct Network: Encodable {
      let name, kind: String
      let parameters: Int
      let explains, cache: String?
      let reads: [Int]?
      let differs_from_base: [String: String]
    }

    struct Row: Encodable { let name, method, network, role: String }

    struct Cache: Encodable {
      let name: String
      let layers: [Int]
      let first_lora_block: Int
      let networks: [String]
    }

    let seeds: [UInt64]
    let images: Int
    let stages: [String]
    let networks: [Network]
    let rows: [Row]
    let caches: [Cache]
  }

  /// `plan.json`: nothing in it depends on the machine.
  func json() throws -> String {
    let file = File(
      seeds: seeds, images: evaluatedCount, stages: stages.map(name),
      networks: networks.indices.map { index in
        let network = networks[index]
        let cache = cache(of: index)
        return File.Network(
          name: network.name, kind: network.kind, parameters: facts[index].shape.trainedCount,
          explains: network.classifier.map { networks[$0].name }, cache: cache.map { "SEED\($0.suffix)" },
          reads: cache.map { cache in
            facts[index].shape.frozenLayers.filter { $0 < cache.firstLoRABlock - 1 } + [cache.firstLoRABlock - 1]
          },
          differs_from_base: Dictionary(
            uniqueKeysWithValues: SettingTable.keys.map(\.path)
              .filter { network.configuration.yaml($0) != base.yaml($0) }
              .map { ($0, network.configuration.yaml($0)) }))
      },
      rows: rows.map { row in
        File.Row(
          name: row.name, method: row.method.facts.name, network: networks[row.network].name, role: row.role.rawValue)
      },
      caches: caches.map { cache in
        File.Cache(
          name: "SEED\(cache.suffix)", layers: cache.layers + [cache.firstLoRABlock - 1],
          first_lora_block: cache.firstLoRABlock, networks: cache.networks.map { networks[$0].name })
      })
    return try prettyJSON(file)
  }
}

/// JSON with sorted keys on lines of their own.
func prettyJSON(_ value: some Encodable) throws -> String {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  return String(decoding: try encoder.encode(value), as: UTF8.self) + "\n"
}
