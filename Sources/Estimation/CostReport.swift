import Cluster
import Experiments
import Explaining
import Failures
import Files
import Foundation
import Layers
import Machine
import Networks
import Settings

/// What an evaluation is of.
public struct EvaluatedWork {
  let split: String
  let method: any ExplanationMethod
  let limit: Int?
  let out: String

  public init(split: String, method: any ExplanationMethod, limit: Int?, out: String) {
    (self.split, self.method, self.limit, self.out) = (split, method, limit, out)
  }
}

/// What a command would cost under some settings, for people. Reads data set and encoder, and writes nothing. Call on
/// every rank.
///
/// - Parameters:
///   - isMeasured: adds times, from a few seconds' work on this machine.
///   - check: asks for more of what the command itself would refuse.
/// - Throws: what the command itself would throw before it begins.
public func costLines(
  _ configuration: Configuration, of work: Work, isMeasured: Bool, cluster: Cluster,
  check: (Experiment) throws -> Void = { _ in }
) throws -> [String] {
  let start = Date()
  let experiment = try Experiment(configuration, cluster: cluster, training: work.trains)
  let lines = try costLines(experiment, of: work, isMeasured: isMeasured, since: start)
  // What it reads into the memory is none of the network's own, which the lines tell.
  try check(experiment)
  return lines
}

/// - Parameter start: when the experiment was begun to be made.
private func costLines(
  _ experiment: Experiment, of work: Work, isMeasured: Bool, since start: Date
) throws -> [String] {
  let (configuration, cluster) = (experiment.configuration, experiment.cluster)
  let report = CostReport(experiment, secondsToBegin: Date().timeIntervalSince(start))
  var lines = report.setLines + (work.trains ? report.warnings : []) + report.networkLines(trains: work.trains)
  lines.append(try MeasuredMemory(work, experiment).line)
  lines += report.diskLines(work)
  guard isMeasured else { return lines + ["times: measured with --estimate"] }
  let isCached = configuration.cache.dir != nil
  let input: SampleInput = isCached ? .features(tail: experiment.model.encoder.firstLoRABlock - 1) : .pixels
  let speed = NetworkSpeed(experiment.model, experiment, configuration, input: input, trains: work.trains)
  lines += report.timeLines(work, speed)
  let peak = cluster.maximum(Processor.peakMemory())
  return lines + ["memory while that was measured: \(peak) MiB of the rank with the most, shared pages among them"]
}

/// The lines of a report by what they are of.
private struct CostReport {
  private let experiment: Experiment
  private let ground: Ground
  private let shape: NetworkShape
  private let cost: WorkCost
  private let secondsToBegin: Double

  private var configuration: Configuration { experiment.configuration }

  init(_ experiment: Experiment, secondsToBegin: Double) {
    self.experiment = experiment
    self.secondsToBegin = secondsToBegin
    ground = Ground(experiment, key: Ground.key(experiment.configuration))
    shape = NetworkShape(experiment.model, epochs: experiment.configuration.training.epochs)
    cost = WorkCost(experiment.configuration, ground: ground, shape: shape)
  }

  var setLines: [String] {
    [
      "images: \(ground.trainCount) train, \(ground.validCount) validate, \(ground.testCount) test; "
        + "\(ground.classCount) classes"
    ]
  }

  var warnings: [String] {
    experiment.dataset.trainingRemarks(experiment.split).map { "warning: \(printable($0))" }
  }

  /// Parameters by module, and what each phase does with them.
  func networkLines(trains: Bool) -> [String] {
    let network = experiment.model
    var modules: [(name: String, range: Range<Int>)] = []
    for parameter in network.parameters.parameters {
      if let last = modules.last, last.name == parameter.group.name {
        modules[modules.count - 1].range = last.range.lowerBound..<parameter.range.upperBound
      } else {
        modules.append((parameter.group.name, parameter.range))
      }
    }
    var lines = [
      "network \(network.kind): \(shape.trainedCount) trained parameters on \(network.encoder.depth) frozen blocks"
    ]
    for module in modules {
      let phases = network.phases.filter { network.trainedRange($0).overlaps(module.range) }.map(\.name)
      lines.append("  \(module.name): \(module.range.count), trained in \(phases.joined(separator: " and "))")
    }
    guard trains else { return lines }
    let isLive = configuration.cache.dir == nil
    for (phase, count) in shape.epochs {
      let trained = network.trainedCount(phase)
      let gigaflop = network.trainingProducts(phase, isLive: isLive).flop / 1e9
      lines.append(
        "phase \(phase.name): \(Int(count.rounded())) of the epochs; trains \(trained) parameters, \(Quantity.words(bytes: 4 * trained)) "
          + "of gradients a step, \(String(format: "%.1f", gigaflop)) GFLOP a sample\(isLive ? "" : " from the cache")")
    }
    return lines + ["steps: \(experiment.stepsPerEpoch) an epoch, \(configuration.training.epochs) epochs at most"]
  }

  func diskLines(_ work: Work) -> [String] {
    switch work {
    case .caching: [cacheLine]
    case .training:
      (configuration.cache.dir == nil ? [] : [cacheLine]) + [
        diskLine("checkpoints", cost.checkpointBytes, folder: configuration.run.dir),
        diskLine("logs and maps", cost.logBytes, folder: configuration.run.dir),
      ]
    case .evaluation(let own):
      [diskLine("results", cost.evaluationBytes(own.method, images: imageCount(own)), folder: own.out)]
    }
  }

  private var cacheLine: String {
    guard let folder = configuration.cache.dir else { return "cache: none (cache.dir is null)" }
    let layers = experiment.cacheFingerprint(isReading: false).layout.layers.count
    return diskLine("cache of \(cost.cacheRows) rows", cost.cacheBytes(layers: layers), folder: folder)
  }

  private func diskLine(_ what: String, _ bytes: Int, folder: String) -> String {
    let line = "\(what): \(Quantity.words(bytes: bytes)) in \(folder)"
    guard let free = freeBytes(near: folder) else { return line }
    return "\(line), where \(Quantity.words(bytes: free)) are free"
      + (free < bytes ? "; warning: that is too little, unless most of it is there already" : "")
  }

  private func imageCount(_ own: EvaluatedWork) -> Int {
    let all = ["train": ground.trainCount, "valid": ground.validCount][own.split] ?? ground.testCount
    return min(own.limit ?? .max, all)
  }

  func timeLines(_ work: Work, _ speed: NetworkSpeed) -> [String] {
    let cluster = experiment.cluster
    let workers = "\(cluster.size) rank\(cluster.size == 1 ? "" : "s") x \(experiment.team.threadCount) threads"
    var lines: [String] = []
    let total: Double
    switch work {
    case .caching:
      total = cost.cachingSeconds(firstLoRABlock: experiment.model.encoder.firstLoRABlock, speed)
    case .training:
      for (phase, _) in shape.epochs {
        let step = (speed.secondsPerSample[phase.name] ?? 0) * Double(configuration.training.batch)
        let epoch = cost.epochSeconds(phase.name, isValidated: phase.isValidated, speed)
        lines.append(
          "time of phase \(phase.name): \(String(format: "%.3f", step)) s a step, \(Quantity.words(seconds: epoch)) an epoch"
            + (phase.isValidated ? " with its validation" : ""))
      }
      total = cost.trainingSeconds(speed)
    case .evaluation(let own):
      total = cost.evaluationSeconds(
        own.method, images: imageCount(own), validation: ground.validCount, speed)
      lines.append(
        "an image: \(Int(cost.viewsPerImage(own.method))) forward passes of \(String(format: "%.1f", 1000 * speed.secondsPerView)) ms"
      )
    }
    return lines + [
      "time: at most \(Quantity.words(seconds: secondsToBegin + total)) (\(workers), \(Quantity.words(seconds: secondsToBegin)) "
        + "of it to begin)"
    ]
  }
}
