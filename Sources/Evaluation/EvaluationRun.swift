import Cluster
import Dataset
import Experiments
import Explaining
import Failures
import Files
import Foundation
import Machine
import Metrics
import Randomness
import Settings
import Storage

/// What `evaluate` is asked for beside the settings.
public struct EvaluationRequest: Sendable {
  /// train, valid or test.
  public var split: String
  public var method: any ExplanationMethod
  /// A fixed random subset of so many images.
  public var limit: Int?
  public var limitSeed: UInt64
  /// The cascade of parameter randomisation over a fixed random subset of so many of them; nil leaves it out.
  public var cascade: Int?
  /// The folder to write to.
  public var out: String
  /// `--overwrite`.
  public var isOverwriting: Bool
  /// Files that the call reads.
  public var inputs: [String]

  public init(
    split: String, method: any ExplanationMethod, limit: Int?, limitSeed: UInt64, cascade: Int? = nil, out: String,
    isOverwriting: Bool, inputs: [String]
  ) {
    self.split = split
    self.method = method
    self.limit = limit
    self.limitSeed = limitSeed
    self.cascade = cascade
    self.out = out
    self.isOverwriting = isOverwriting
    self.inputs = inputs
  }

  /// The chosen ids, in their own order, and what to say of them; "" for all.
  func choose(_ ids: [Int]) -> (ids: [Int], subset: String) {
    Self.choose(ids, limit: limit ?? ids.count, seed: limitSeed)
  }

  static func choose(_ ids: [Int], limit: Int, seed: UInt64) -> (ids: [Int], subset: String) {
    guard limit < ids.count else { return (ids, "") }
    var stream = RandomStream(seed: seed, name: "evaluation.limit")
    let chosen = stream.permutation(ids.count).prefix(limit).sorted().map { ids[$0] }
    return (chosen, "\(limit) of \(ids.count) images; seed \(seed)")
  }
}

/// What an evaluation writes beside the overlays.
private let outputs = [
  "summary.json", "per_image.csv", "explanations.h5", "cost.json", "overlays.png", "iou_curve.png",
  "insertion_deletion.png",
]

/// What a cascade adds.
private let cascadeOutputs = ["cascade.csv", "cascade.png"]

/// The images of a split.
///
/// - Throws: `Failure` 65 where it has none, 64 for a name of no split; the same on every rank.
public func images(ofSplit name: String, _ experiment: Experiment) throws -> [Int] {
  let (split, cluster) = (experiment.split, experiment.cluster)
  let all = [("train", split.train), ("valid", split.valid), ("test", split.test)]
  guard let ids = all.first(where: { $0.0 == name })?.1 else {
    throw cluster.agreed(.usage("--split \(name): expected train, valid or test"))
  }
  guard !ids.isEmpty else {
    let counts = all.filter { $0.0 != name }.map { "\($0.0) has \($0.1.count)" }.joined(separator: ", ")
    throw cluster.agreed(.badData("split \(name) has no image; choose another one with --split (\(counts))"))
  }
  return ids
}

/// `ala evaluate`: evaluates a split and writes figures, per-image values, maps and pictures; goes on where an
/// interrupted call was.
///
/// - Returns: the figures, on every rank.
public func evaluate(_ experiment: Experiment, _ request: EvaluationRequest, log: RunLog) throws -> EvaluationSummary {
  let cluster = experiment.cluster
  let out = request.out
  let (ids, subset) = request.choose(try images(ofSplit: request.split, experiment))
  describe(experiment, request, subset: subset, count: ids.count, log)
  let start = Date()
  let pass = try EvaluationPass(
    experiment, source: SampleSource(experiment, cache: nil), method: request.method, controls: Control.allCases)
  var lock: RunLock?
  var folder = OutputFolder(out, of: "evaluate", isOverwriting: request.isOverwriting)
  try cluster.onRoot {
    try folder.claim(
      outputs + (request.cascade == nil ? [] : cascadeOutputs) + pictured(ids).map { "overlays/\($0).png" },
      inputs: request.inputs)
    lock = try RunLock(path: "\(out)/.lock") { log.warning($0) }
    folder.sweep()
  }
  defer { withExtendedLifetime(lock) {} }
  try cluster.requireOneFolder(out, "--out")

  var context = context(experiment, request, subset: subset)
  let journal = try EvaluationJournal(
    folder: "\(out)/.unfinished", identity: identity(experiment, context), cluster: cluster, log: log)
  let signals = SignalWatch()
  let outcomes = try pass.run(
    ids, .all(experiment.configuration.evaluation), log: log, doing: "evaluate", journal: journal, signals: signals)
  let isWholeValid = request.split == "valid" && subset.isEmpty
  let threshold = try validThreshold(
    experiment, pass, own: outcomes, isWholeValid: isWholeValid, log: log, signals: signals)
  context.controls = controls(outcomes)
  let cascade = try request.cascade.map {
    try CascadeRun(
      experiment, request, count: $0, trained: outcomes, identity: identity(experiment, context), log: log,
      signals: signals)
  }
  context.cascade = cascade?.summary
  let records = outcomes.map(\.record)
  let summary = EvaluationSummary(records, validThreshold: threshold, context)
  warn(records, summary, experiment, log)
  try cluster.onRoot {
    try write(summary, outcomes, threshold, experiment, request, subset: subset)
    try cascade?.write(to: out)
    try draw(outcomes, summary, experiment, title: request.method.facts.title, to: out)
  }
  try journal.finish()
  try cascade?.finish()
  try cluster.onRoot { CascadeRun.removeJournals(in: out) }
  try writeCost(experiment, seconds: Date().timeIntervalSince(start), images: ids.count, to: "\(out)/cost.json")
  try cluster.onRoot { try folder.finish(removesOthers: true) }
  return summary
}

private func describe(
  _ experiment: Experiment, _ request: EvaluationRequest, subset: String, count: Int, _ log: RunLog
) {
  log.info("writes to \(request.out)/: summary.json, per_image.csv, explanations.h5, overlays, curves")
  experiment.describeData(log)
  experiment.describeMeans(log)
  if !subset.isEmpty { log.info("a subset: \(subset)") }
  if let limit = request.limit, subset.isEmpty {
    log.warning("--limit \(limit) has no effect: split \(request.split) has \(count) images, and all are evaluated")
  }
  let passes = request.method.passes(experiment.configuration)
  if passes > 0 { log.info("\(request.method.facts.name): \(passes) forward passes for each image's map") }
}

/// The index of the curve threshold that is best on the validation split; nil where that has no masks, or where no
/// image that is evaluated has one.
private func validThreshold(
  _ experiment: Experiment, _ pass: EvaluationPass, own: [ImageOutcome], isWholeValid: Bool, log: RunLog,
  signals: SignalWatch
) throws -> Int? {
  let valid = experiment.split.valid
  guard !valid.isEmpty, own.contains(where: { $0.record.iouCurve != nil }) else { return nil }
  let outcomes =
    isWholeValid
    ? own
    : try pass.run(
      valid, .masks(experiment.configuration.evaluation), log: log, doing: "validation", signals: signals)
  let notFinite = outcomes.count { !$0.record.isFinite }
  if notFinite > 0 {
    log.warning(
      "\(notFinite) of \(outcomes.count) validation maps are not finite: the threshold of rule valid is without them")
  }
  return EvaluationSummary.bestThreshold(outcomes.map(\.record))
}

/// The controls' mean IoU by rule, over the images that have one.
private func controls(_ outcomes: [ImageOutcome]) -> [String: [String: Double]] {
  var result: [String: [String: Double]] = [:]
  guard outcomes.contains(where: { !$0.controls.isEmpty }) else { return result }
  for control in Control.allCases {
    let own = outcomes.compactMap { $0.controls[control.rawValue] }
    result[control.rawValue] = Dictionary(
      uniqueKeysWithValues: Control.rules.compactMap { rule in
        let values = own.compactMap { $0[rule.rawValue] }
        return values.isEmpty ? nil : (rule.rawValue, values.reduce(0, +) / Double(values.count))
      })
  }
  return result
}

private func context(_ experiment: Experiment, _ request: EvaluationRequest, subset: String) -> EvaluationContext {
  let configuration = experiment.configuration
  let settings = configuration.evaluation
  var context = EvaluationContext()
  context.settings = [
    "split": request.split, "method": request.method.facts.name, "iou_rule": settings.iouRule,
    "protocol": settings.protocol,
    "steps": "\(settings.steps)", "substrate": settings.substrate, "target": settings.target, "subset": subset,
    "run_dir": configuration.run.dir, "data_root": configuration.data.root,
    "segmentations": configuration.data.segmentations, "mask_threshold": "\(configuration.data.maskThreshold)",
  ]
  // Where the images lie, for who shows them; other layouts are as they were before there were any.
  if configuration.data.layout != DataLayout.cub.rawValue {
    context.settings["data_layout"] = configuration.data.layout
    context.settings["data_labels"] = configuration.data.labels
    context.settings["data_follow_links"] = "\(configuration.data.followLinks)"
  }
  context.settings.merge(request.method.settings(configuration)) { own, _ in own }
  if request.method.facts.version > 1 { context.settings["method_version"] = "\(request.method.facts.version)" }
  context.modelSHA256 = modelTensors(experiment.model.parameters).digest()
  context.classes = experiment.dataset.classes.map { EvaluationSummary.ClassName(id: $0.id, name: $0.name) }
  context.grid = experiment.model.encoder.grid
  context.side = configuration.image.size
  context.fractions = Measures.all(settings).fractions
  return context
}

/// Everything that an image's outcome depends on, as text.
private func identity(_ experiment: Experiment, _ context: EvaluationContext) -> String {
  let elsewhere = [
    "split", "subset", "run_dir", "data_root", "data_layout", "data_labels", "data_follow_links", "iou_rule",
  ]
  let settings = context.settings.filter { !elsewhere.contains($0.key) }
  return [
    "3", "\(experiment.configuration.run.seed)", "\(settings.sorted { $0.key < $1.key })", context.modelSHA256,
    experiment.encoderSHA256,
    experiment.dataset.digest, "\(settingsOfNetwork(experiment.configuration))", "\(experiment.productKernels)",
  ].joined(separator: "\n")
}

/// Names what is left out or odd: never averaged in silence.
private func warn(_ records: [ImageRecord], _ summary: EvaluationSummary, _ experiment: Experiment, _ log: RunLog) {
  let notFinite = records.filter { !$0.isFinite }.map { "image \($0.imageID): its map or a probability is not finite" }
  for problem in maskWarnings(records, experiment) + named(notFinite) { log.warning(problem) }
  for note in summary.notes { log.info(note) }
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

private func write(
  _ summary: EvaluationSummary, _ outcomes: [ImageOutcome], _ threshold: Int?, _ experiment: Experiment,
  _ request: EvaluationRequest, subset: String
) throws {
  let encoder = JSONEncoder()
  encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
  try writeAtomically(Array(try encoder.encode(summary)), to: "\(request.out)/summary.json")
  try writeAtomically(
    EvaluationSummary.csv(outcomes.map(\.record), validThreshold: threshold, subset: subset),
    to: "\(request.out)/per_image.csv")
  var attributes: [(name: String, value: HDF5Attribute)] = [("method", .text(request.method.facts.name))]
  if !subset.isEmpty { attributes.append(("subset", .text(subset))) }
  try ExplanationsFile(
    imageIDs: outcomes.map(\.record.imageID), side: outcomes.first?.side ?? 0, maps: outcomes.map(\.map.values),
    probabilities: outcomes.map(\.probabilities.values)
  ).write(to: "\(request.out)/explanations.h5", attributes: attributes)
}
