import Cluster
import Dataset
import Evaluation
import Failures
import Files
import Foundation
import Images
import Layers
import Settings
import Storage

/// `ala evaluate`: figures, per-image values and maps of one split.

/// Loads the weights that are to be judged: a checkpoint, a run folder (its best), or a file with `/model` alone.
///
/// - Throws: `Failure` 66, 65; 78 where the checkpoint was trained with another encoder.
public func loadWeights(_ experiment: Experiment, checkpoint given: String, program: String) throws {
  let store = experiment.model.parameters
  try experiment.cluster.agree {
    store.initialise(seed: experiment.configuration.run.seed)
    let path = checkpointPath(given)
    if let stored = try Checkpoint.attributesIfOurs(path), let theirs = stored["encoder_sha256"],
      theirs != .text(experiment.encoderSHA256)
    {
      throw Failure.badConfiguration(
        "\(path): was trained with another encoder than \(experiment.configuration.encoder.weights) (encoder_sha256 differs)")
    }
    try setModel(store, try readModelTensors(path, program: program), path: path)
  }
}

/// A run folder stands for its best checkpoint, or for its last where none is best.
public func checkpointPath(_ given: String) -> String {
  var isFolder: ObjCBool = false
  guard FileManager.default.fileExists(atPath: given, isDirectory: &isFolder), isFolder.boolValue else { return given }
  let folder = CheckpointFolder(path: "\(given)/checkpoints", keep: 1)
  return FileManager.default.fileExists(atPath: folder.best) ? folder.best : folder.last
}

/// What `evaluate` hands to who draws pictures, on rank 0.
public struct EvaluationReport: Sendable {
  public let outcomes: [ImageOutcome]
  public let summary: EvaluationSummary
}

/// Evaluates a split and writes `summary.json`, `per_image.csv` and `explanations.h5` into `out`.
public func evaluate(
  _ experiment: Experiment, split name: String, out: String, log: RunLog
) throws -> EvaluationReport {
  let cluster = experiment.cluster
  let configuration = experiment.configuration
  let split = experiment.split
  let lists = ["train": split.train, "valid": split.valid, "test": split.test]
  guard let ids = lists[name] else {
    throw cluster.agreed(.usage("--split \(name): expected train, valid or test"))
  }
  guard !ids.isEmpty else { throw cluster.agreed(.badData("split \(name) has no image")) }
  try cluster.onRoot { try makeFolder(out) }
  let pass = EvaluationPass(experiment, source: SampleSource(experiment, cache: nil))
  let outcomes = try pass.run(ids, .all, log: log, doing: "evaluate")
  var threshold: Int?
  if !split.valid.isEmpty {
    let valid = name == "valid" ? outcomes : try pass.run(split.valid, .masks, log: log, doing: "validation")
    threshold = EvaluationSummary.bestThreshold(valid.map(\.record))
  }
  if threshold == nil && outcomes.contains(where: { $0.record.iouMeanStd != nil }) {
    log.warning("there are no validation masks: rule valid falls back to mean_std")
  }
  let summary = EvaluationSummary(
    outcomes.map(\.record), validThreshold: threshold,
    settings: [
      "split": name, "method": "ala", "iou_rule": configuration.evaluation.iouRule,
      "protocol": configuration.evaluation.protocol,
    ],
    controls: try controls(experiment, ids))
  try cluster.onRoot {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    try writeAtomically(Array(try encoder.encode(summary)), to: "\(out)/summary.json")
    try writeAtomically(
      EvaluationSummary.csv(outcomes.map(\.record), validThreshold: threshold), to: "\(out)/per_image.csv")
    try writeExplanations(
      outcomes, grid: experiment.model.encoder.grid, classes: experiment.dataset.classes.count,
      to: "\(out)/explanations.h5")
  }
  return EvaluationReport(outcomes: outcomes, summary: summary)
}

/// Mean IoU of maps that have seen no image, on the same images and by the same rules; each rank its share.
private func controls(_ experiment: Experiment, _ ids: [Int]) throws -> [String: [String: Double]] {
  let cluster = experiment.cluster
  let g = experiment.model.encoder.grid
  let side = experiment.configuration.image.size
  let gaussian = upsampleBilinear(centredGaussian(grid: g), grid: g, to: side)
  let share = (cluster.rank * ids.count / cluster.size)..<((cluster.rank + 1) * ids.count / cluster.size)
  let own = try cluster.agree { () -> [UInt8] in
    var values: [Double] = []
    for id in ids[share] {
      guard let image = experiment.dataset.image(id),
        let mask = try GroundTruth(image, experiment, withBox: false).mask
      else { continue }
      let random = upsampleBilinear(
        randomMap(grid: g, seed: experiment.configuration.run.seed, imageID: id), grid: g, to: side)
      for map in [gaussian, random] {
        values.append(intersectionOverUnion(normalised(map), above: 0.5, mask))
        values.append(intersectionOverUnion(map, above: meanStdThreshold(map), mask))
      }
    }
    return values.withUnsafeBytes { Array($0) }
  }
  let values = cluster.allGather(own).flatMap { bytes in
    bytes.withUnsafeBytes { Array($0.bindMemory(to: Double.self)) }
  }
  guard !values.isEmpty else { return [:] }
  func mean(_ offset: Int) -> Double {
    let own = stride(from: offset, to: values.count, by: 4).map { values[$0] }
    return own.reduce(0, +) / Double(own.count)
  }
  return [
    "centred_gaussian": ["half": mean(0), "mean_std": mean(1)], "random": ["half": mean(2), "mean_std": mean(3)],
  ]
}

private func writeExplanations(_ outcomes: [ImageOutcome], grid: Int, classes: Int, to path: String) throws {
  let temporary = temporaryName(for: path)
  do {
    let file = try HDF5File.create(temporary)
    let n = outcomes.count
    try file.makeDataset("image_id", .int32, shape: [n])
    try file.write("image_id", .int32, outcomes.map { Int32($0.record.imageID) })
    try file.makeDataset("map", .float32, shape: [n, grid, grid])
    try file.write("map", .float32, outcomes.flatMap(\.map))
    try file.makeDataset("probability", .float32, shape: [n, classes])
    try file.write("probability", .float32, outcomes.flatMap(\.probabilities))
    try file.close()
  } catch {
    unlink(temporary)
    throw error
  }
  try publish(temporary, as: path)
}
