import Experiments
import Cluster
import Dataset
import Digests
import Metrics
import Failures
import Files
import Foundation
import Images
import Layers
import Machine
import Randomness
import Settings
import Storage
import Tensor

/// `ala evaluate`: figures, per-image values and maps of one split.

/// What `evaluate` is asked for beside the settings.
public struct EvaluationRequest: Sendable {
  /// train, valid or test.
  public var split: String
  public var method: String
  /// A fixed random subset of so many images.
  public var limit: Int?
  public var limitSeed: UInt64
  /// The folder to write to.
  public var out: String

  public init(split: String, method: String, limit: Int?, limitSeed: UInt64, out: String) {
    self.split = split
    self.method = method
    self.limit = limit
    self.limitSeed = limitSeed
    self.out = out
  }

  /// The chosen ids, in their own order, and what to say of them; "" for all.
  func choose(_ ids: [Int]) -> (ids: [Int], subset: String) {
    guard let limit, limit < ids.count else { return (ids, "") }
    var stream = RandomStream(seed: limitSeed, name: "evaluation.limit")
    let chosen = stream.permutation(ids.count).prefix(limit).sorted().map { ids[$0] }
    return (chosen, "\(limit) of \(ids.count) images; seed \(limitSeed)")
  }
}

/// What `evaluate` hands to who draws pictures, on rank 0.
public struct EvaluationReport: Sendable {
  public let outcomes: [ImageOutcome]
  public let summary: EvaluationSummary
}

/// Evaluates a split and writes `summary.json`, `per_image.csv`, `explanations.h5` and `cost.json`; goes on where an
/// interrupted call was.
public func evaluate(_ experiment: Experiment, _ request: EvaluationRequest, log: RunLog) throws -> EvaluationReport {
  let cluster = experiment.cluster
  let settings = experiment.configuration.evaluation
  let split = experiment.split
  let out = request.out
  guard let all = ["train": split.train, "valid": split.valid, "test": split.test][request.split] else {
    throw cluster.agreed(.usage("--split \(request.split): expected train, valid or test"))
  }
  let (ids, subset) = request.choose(all)
  guard !ids.isEmpty else { throw cluster.agreed(.badData("split \(request.split) has no image")) }
  experiment.describeEncoder(log)
  if !subset.isEmpty { log.info("a subset: \(subset)") }
  if let limit = request.limit, subset.isEmpty {
    log.warning("--limit \(limit) has no effect: split \(request.split) has \(ids.count) images, and all are evaluated")
  }
  let start = Date()
  var lock: RunLock?
  try cluster.onRoot {
    try makeFolder(out)
    lock = try RunLock(path: "\(out)/.lock") { log.warning($0) }
  }
  defer { withExtendedLifetime(lock) {} }

  var context = context(experiment, request, subset: subset)
  let journal = try EvaluationJournal(
    folder: "\(out)/.unfinished", identity: identity(experiment, context), cluster: cluster, log: log)
  let pass = EvaluationPass(experiment, source: SampleSource(experiment, cache: nil))
  let signals = SignalWatch()
  let outcomes = try pass.run(ids, .all(settings), log: log, doing: "evaluate", journal: journal, signals: signals)
  let records = outcomes.map(\.record)
  var threshold: Int?
  if !split.valid.isEmpty, records.contains(where: { $0.iouCurve != nil }) {
    let isWhole = request.split == "valid" && subset.isEmpty
    let valid =
      isWhole
      ? outcomes : try pass.run(split.valid, .masks(settings), log: log, doing: "validation", signals: signals)
    threshold = EvaluationSummary.bestThreshold(valid.map(\.record))
  }
  context.controls = try controls(experiment, ids, pass, log: log, signals: signals)
  let summary = EvaluationSummary(records, validThreshold: threshold, context)
  warn(records, summary, log)
  try cluster.onRoot {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    try writeAtomically(Array(try encoder.encode(summary)), to: "\(out)/summary.json")
    try writeAtomically(
      EvaluationSummary.csv(records, validThreshold: threshold, subset: subset), to: "\(out)/per_image.csv")
    try writeExplanations(
      outcomes, grid: experiment.model.encoder.grid, classes: experiment.dataset.classes.count, subset: subset,
      to: "\(out)/explanations.h5")
  }
  try journal.finish()
  try writeCost(experiment, seconds: Date().timeIntervalSince(start), images: ids.count, to: "\(out)/cost.json")
  return EvaluationReport(outcomes: outcomes, summary: summary)
}

private func context(_ experiment: Experiment, _ request: EvaluationRequest, subset: String) -> EvaluationContext {
  let configuration = experiment.configuration
  let settings = configuration.evaluation
  var context = EvaluationContext()
  context.settings = [
    "split": request.split, "method": request.method, "iou_rule": settings.iouRule, "protocol": settings.protocol,
    "steps": "\(settings.steps)", "substrate": settings.substrate, "target": settings.target, "subset": subset,
    "run_dir": configuration.run.dir, "data_root": configuration.data.root,
    "segmentations": configuration.data.segmentations,
  ]
  context.modelSHA256 = Checkpoint.digest(modelTensors(experiment.model.parameters))
  context.classes = experiment.dataset.classes.map { EvaluationSummary.ClassName(id: $0.id, name: $0.name) }
  context.grid = experiment.model.encoder.grid
  context.side = configuration.image.size
  context.fractions = Measures.all(settings).fractions
  return context
}

/// Everything that an image's outcome depends on, as text.
private func identity(_ experiment: Experiment, _ context: EvaluationContext) -> String {
  let settings = context.settings.filter { !["split", "subset", "run_dir", "data_root", "iou_rule"].contains($0.key) }
  return [
    "\(settings.sorted { $0.key < $1.key })", context.modelSHA256, experiment.encoderSHA256, experiment.dataset.digest,
    "\(Experiment.options(experiment.configuration, classes: experiment.dataset.classes.count))",
    "\(experiment.productKernels)",
  ].joined(separator: "\n")
}

/// Names what is left out or odd: never averaged in silence.
private func warn(_ records: [ImageRecord], _ summary: EvaluationSummary, _ log: RunLog) {
  let named = 10
  let problems =
    records.compactMap(\.maskProblem)
    + records.filter { !$0.isFinite }.map { "image \($0.imageID): its map or a probability is not finite" }
  for problem in problems.prefix(named) { log.warning(problem) }
  if problems.count > named { log.warning("… and \(problems.count - named) more") }
  for note in summary.notes { log.info(note) }
}

/// Mean IoU of maps that know nothing of the trained model, on the same images and by the same rules: a centred
/// Gaussian, random values, and the model's own maps with every trained tensor as it was before training (the
/// randomisation test of Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018).
private func controls(
  _ experiment: Experiment, _ ids: [Int], _ pass: EvaluationPass, log: RunLog, signals: SignalWatch
) throws -> [String: [String: Double]] {
  let measures = Measures.masks(experiment.configuration.evaluation)
  let cluster = experiment.cluster
  let g = experiment.model.encoder.grid
  let side = experiment.configuration.image.size
  let gaussian = upsampleBilinear(centredGaussian(grid: g), grid: g, to: side)
  let share = (cluster.rank * ids.count / cluster.size)..<((cluster.rank + 1) * ids.count / cluster.size)
  let own = try cluster.agree { () -> [UInt8] in
    var values: [Double] = []
    for id in ids[share] {
      guard let image = experiment.dataset.image(id),
        let mask = try GroundTruth(image, experiment, measures).mask
      else { continue }
      let random = upsampleBilinear(
        randomMap(grid: g, seed: experiment.configuration.run.seed, imageID: id), grid: g, to: side)
      for map in [gaussian, random] {
        var record = ImageRecord(imageID: id, label: 0, predicted: 0, probability: 0)
        record.measure(map, side: side, mask: mask, box: nil, isLab: measures.isLab)
        values += [record.iouHalf ?? 0, record.iouMeanStd ?? 0]
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
  var result = [
    "centred_gaussian": ["half": mean(0), "mean_std": mean(1)], "random": ["half": mean(2), "mean_std": mean(3)],
  ]
  let untrained = try withStartWeights(experiment) {
    try pass.run(ids, measures, log: log, doing: "randomised model", signals: signals)
  }
  result["randomised_model"] = EvaluationSummary.meanIoU(untrained.map(\.record), validThreshold: nil)
    .filter { $0.key != IoURule.valid.rawValue }
  return result
}

/// Runs `body` with the trained tensors and running statistics as they are before training.
private func withStartWeights<Value>(_ experiment: Experiment, _ body: () throws -> Value) throws -> Value {
  let store = experiment.model.parameters
  let arenas = [store.values, store.statisticValues]
  let kept = arenas.map { Array(UnsafeBufferPointer(start: $0.base, count: $0.count)) }
  store.initialise(seed: experiment.configuration.run.seed)
  defer { for (arena, values) in zip(arenas, kept) { arena.base.update(from: values, count: arena.count) } }
  return try body()
}

private func writeCost(_ experiment: Experiment, seconds: Double, images: Int, to path: String) throws {
  let memory = experiment.cluster.maximum(Processor.peakMemory())
  try experiment.cluster.onRoot {
    let cost: [String: Any] = [
      "seconds": seconds, "images_per_s": Double(images) / max(seconds, 1e-9), "ranks": experiment.cluster.size,
      "threads": experiment.team.threadCount, "peak_memory_mib": memory,
      "date": ISO8601DateFormatter().string(from: Date()),
    ]
    let data = try JSONSerialization.data(withJSONObject: cost, options: [.prettyPrinted, .sortedKeys])
    try writeAtomically(Array(data), to: path)
  }
}

private func writeExplanations(
  _ outcomes: [ImageOutcome], grid: Int, classes: Int, subset: String, to path: String
) throws {
  try makeAtomically(path) { temporary in
    let file = try HDF5File.create(temporary, for: path)
    let n = outcomes.count
    try file.makeDataset("image_id", .int32, shape: [n])
    try file.write("image_id", .int32, outcomes.map { Int32($0.record.imageID) })
    try file.makeDataset("map", .float32, shape: [n, grid, grid])
    try file.write("map", .float32, outcomes.flatMap(\.map))
    try file.makeDataset("probability", .float32, shape: [n, classes])
    try file.write("probability", .float32, outcomes.flatMap(\.probabilities))
    if !subset.isEmpty { try file.write([("subset", .text(subset))]) }
    try file.close()
  }
}
