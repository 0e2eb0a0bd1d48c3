import Cluster
import Experiments
import Failures
import Files
import Foundation
import Networks
import Settings
import Storage
import Tensor

/// What the command line says of a training run, beside the settings.
public struct TrainingOptions: Sendable {
  public enum Resume: Equatable, Sendable {
    case automatic
    case never
    case file(String)
  }

  public var resume = Resume.automatic
  /// A file with `/model`, whose weights the run starts from.
  public var initialWeights: String?
  public var stopAfterSteps: Int?
  /// Tells at the end where the time went.
  public var isProfiled = false
  /// The `ala` program, which examines foreign HDF5 files.
  public var program: String

  public init(program: String) { self.program = program }
}

/// Refuses a run's folder that holds files of others under the names of its own.
///
/// - Throws: `Failure` 73.
func refuseStrangers(in configuration: Configuration) throws {
  let run = configuration.run.dir
  // A run that was copied may have lost its lock file, but not its checkpoints.
  let checkpoints = CheckpointFolder(path: "\(run)/checkpoints", keep: configuration.checkpoint.keep)
  let isRun = !(try checkpoints.steps().isEmpty)
  try refuseStrangers(
    in: run, mark: ".lock",
    names: [
      "config.yaml", "split.json", StartingCommand.fileName, "metrics.jsonl", "log.txt", "tensorboard",
      "checkpoints/last.h5", "checkpoints/best.h5",
    ], setting: "run.dir", isOwn: { _ in isRun })
}

/// Makes and locks the run's folder, and opens its logs.
///
/// - Returns: on rank 0 the lock, which is held as long as it lives.
func openFolder(_ experiment: Experiment, _ folder: CheckpointFolder, _ log: RunLog) throws -> RunLock? {
  let cluster = experiment.cluster
  let run = experiment.configuration.run.dir
  var lock: RunLock?
  try cluster.onRoot {
    try refuseStrangers(in: experiment.configuration)
    try makeFolder(folder.path)
    lock = try RunLock(path: "\(run)/.lock") { log.warning($0) }
    folder.sweep()
    removeTemporaries(in: run, of: ["config.yaml", "split.json", StartingCommand.fileName])
  }
  try cluster.requireOneFolder(run, "run.dir")
  try cluster.agree { try log.open(folder: run) }
  experiment.describeData(log, training: true)
  return lock
}

/// Says what the run is made of.
func describe(_ experiment: Experiment, _ source: SampleSource, _ log: RunLog) {
  let model = experiment.model
  let encoder = model.encoder
  let folder = experiment.configuration.run.dir
  log.info(
    "writes to \(folder)/: checkpoints/, metrics.jsonl, tensorboard/, log.txt, config.yaml, split.json, "
      + StartingCommand.fileName)
  log.info(
    "encoder \(encoder.spelling.rawValue): width \(encoder.width), \(encoder.depth) of \(encoder.availableDepth) blocks, "
      + "patch \(encoder.patch), grid \(encoder.grid) x \(encoder.grid), activation \(encoder.activation.rawValue)"
      + (encoder.fileGrid == encoder.grid ? "" : ", positions resampled from \(encoder.fileGrid) x \(encoder.fileGrid)")
  )
  let trained = model.phases.map { "\(model.trainedCount($0)) in \($0.name) epochs" }
  log.info("trained parameters: \(trained.joined(separator: ", "))")
  log.info(
    "images: \(experiment.split.train.count) train, \(experiment.split.valid.count) valid, \(experiment.split.test.count) test; "
      + "\(experiment.dataset.classes.count) classes; \(source.isCached ? "from the cache" : "live")")
  log.info(
    "\(experiment.cluster.size) rank\(experiment.cluster.size == 1 ? "" : "s") x \(experiment.team.threadCount) threads, "
      + "\(experiment.configuration.training.lanes) lanes; BLAS kernel \(blasKernel())")
  experiment.describeMeans(log)
  let lanes = experiment.configuration.training.lanes
  if lanes % experiment.cluster.size != 0 {
    log.warning(
      "\(experiment.cluster.size) ranks do not divide \(lanes) lanes (training.lanes): results equal those of other world sizes to rounding only"
    )
  }
}

/// Fresh weights, or those of `--init`. Call on one rank.
func startAfresh(_ experiment: Experiment, _ options: TrainingOptions, log: RunLog) throws {
  let store = experiment.model.parameters
  store.initialise(seed: experiment.configuration.run.seed)
  guard let file = options.initialWeights else { return }
  let stored = try storedAttributes(file)
  try checkNetwork(stored, experiment.configuration, path: file)
  try checkExplained(stored, experiment.model.explains, path: file)
  // The same encoder may lie in another file, and a new run may well begin with another encoder.
  let difference = encoderDifference(
    stored, experiment.model.encoder.file, sha256: experiment.encoderSHA256, path: file)
  if let difference { log.warning("\(difference)") }
  try setModel(store, try readModelTensors(file, of: store, program: options.program), path: file)
  log.info("starting from the weights of \(file)")
}

/// Fresh weights, a checkpoint's, or `--init`'s; the same on every rank.
func begin(
  _ experiment: Experiment, _ options: TrainingOptions, _ folder: CheckpointFolder, mode: String, log: RunLog
) throws -> TrainingState {
  let cluster = experiment.cluster
  let store = experiment.model.parameters
  var state = TrainingState()
  func goOn(_ path: String, _ checkpoint: Checkpoint) throws {
    try checkFits(experiment, checkpoint, path: path, mode: mode, log: log)
    state = try TrainingState(json: try checkpoint.required("progress", path), path: path)
    let training = experiment.configuration.training
    try state.check(epochs: training.epochs, batch: training.batch, images: experiment.split.train.count, path: path)
    try restore(store, checkpoint, mostSteps: state.step, path: path)
  }
  try cluster.onRoot {
    var found: String?
    switch options.resume {
    case .never:
      let steps = try folder.steps()
      if !steps.isEmpty {
        log.info("--resume never: the run in \(experiment.configuration.run.dir) starts anew")
        for step in steps { unlink(folder.file(step: step)) }
        unlink(folder.last)
        unlink(folder.best)
        try log.beginAnew(folder: experiment.configuration.run.dir)
      }
    case .file(let path):
      try goOn(path, try Checkpoint.readForeign(path, probe: options.program))
      found = path
    case .automatic:
      let newest = try folder.newest(onDamage: { log.warning("\($0); it is passed over") }, accept: goOn)
      found = newest.map { folder.file(step: $0.step) }
      if found == nil, let damaged = try folder.steps().first {
        throw Failure.badData(
          "\(folder.file(step: damaged)): no checkpoint of this run is sound; --resume never starts anew")
      }
    }
    if let path = found {
      log.info("resuming from \(path): epoch \(state.epoch), step \(state.step)")
      if let file = options.initialWeights {
        log.warning(
          "--init \(file) has no effect: a run goes on; --resume never would start it anew from these weights")
      }
    } else {
      try startAfresh(experiment, options, log: log)
    }
  }
  cluster.broadcast(store)
  let json = try cluster.fromRoot { Array(state.json.utf8) }
  return try TrainingState(json: String(decoding: json, as: UTF8.self), path: "the state of rank 0")
}

extension Checkpoint {
  /// What every checkpoint of a run says.
  fileprivate func required(_ name: String, _ path: String) throws -> String {
    guard let text = text(name) else { throw Failure.badData("\(path): its attribute \(name) is missing, or no text") }
    return text
  }
}

/// Refuses to go on with a checkpoint under settings that would change the result.
private func checkFits(
  _ experiment: Experiment, _ checkpoint: Checkpoint, path: String, mode: String, log: RunLog
) throws {
  let stored = try Configuration(resolvedYAML: try checkpoint.required("config", path), place: path)
  let differences = experiment.configuration.differences(from: stored)
  if !differences.isEmpty {
    let list = differences.map { "\($0.key) is \($0.own), the run has \($0.other)" }.joined(separator: "; ")
    let offer =
      differences.contains { $0.key == "training.epochs" }
      ? " (to train longer, start another run with --init \(shellWord(path)))" : ""
    throw Failure.badConfiguration("\(path): cannot be resumed under settings that change the result: \(list)\(offer)")
  }
  for (key, own, setting) in [
    ("encoder_sha256", experiment.encoderSHA256, "encoder.weights"),
    ("dataset_sha256", experiment.dataset.digest, "data.root"),
  ] {
    guard try checkpoint.required(key, path) != own else { continue }
    throw Failure.badConfiguration("\(path): was trained with other contents of \(setting) (\(key) differs)")
  }
  let products = storedProducts(checkpoint.attributes)
  guard products == experiment.products else {
    // A newer one that has another library can be read, but not be gone on with.
    throw Failure.badConfiguration(
      "\(path): has its products by \(products?.rawValue ?? "an unknown library"), a newer checkpoint of this run that is "
        + "passed over by \(experiment.products.rawValue): remove that one")
  }
  try checkExplained(checkpoint.attributes, experiment.model.explains, path: path)
  try checkEncoder(
    checkpoint.attributes, experiment.model.encoder.file, sha256: experiment.encoderSHA256, path: path)
  try checkClasses(checkpoint.attributes["classes"], experiment, path: path)
  if let theirs = checkpoint.text("data_mode"), theirs != mode {
    throw Failure.badConfiguration(
      "\(path): was trained \(theirs), this would go on \(mode), which changes the result (cache.dir, cache.views, cache.dtype, cache.layers)"
    )
  }
  guard let fingerprint = checkpoint.text("fingerprint") else { return }
  for (key, value) in experiment.productKernels where !fingerprint.contains("\"\(key)\":\"\(value)\"") {
    log.warning(
      "\(path): was written with another \(key.replacing("_", with: " ")) than \(value): bits may differ from one run to the other"
    )
  }
}
