import Evaluation
import Experiments
import AttentionLattice
import Cluster
import Dataset
import Failures
import Files
import Foundation
import Layers
import Machine
import Settings
import Storage
import Tensor

/// Training (model.md 5 to 8): data-parallel, alternating, resumable at any step.

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

/// Trains until the last epoch, an early stop, `stopAfterSteps`, or a signal.
///
/// - Throws: `Failure` 75 after a signal and a checkpoint that all ranks agree on; 70 after too many refused updates.
public func train(_ experiment: Experiment, _ options: TrainingOptions, log: RunLog) throws {
  let cluster = experiment.cluster
  let configuration = experiment.configuration
  let settings = configuration.training
  let model = experiment.model
  let folder = CheckpointFolder(path: "\(configuration.run.dir)/checkpoints", keep: configuration.checkpoint.keep)

  // The run's folder.
  var lock: RunLock?
  try cluster.onRoot {
    try makeFolder(folder.path)
    lock = try RunLock(path: "\(configuration.run.dir)/.lock") { log.warning($0) }
    folder.sweep()
  }
  defer { withExtendedLifetime(lock) {} }
  try cluster.agree { try log.open(folder: configuration.run.dir) }
  for (id, reason) in experiment.dataset.unreadable where cluster.isRoot {
    log.warning("image \(id) is left out: \(reason)")
  }

  // Where samples come from, and where the run stands.
  let source = SampleSource(experiment, cache: try openCache(experiment, log: log), log: log)
  var state = try begin(experiment, options, folder, mode: source.mode, log: log)
  try cluster.onRoot {
    try writeAtomically(configuration.resolvedYAML, to: "\(configuration.run.dir)/config.yaml")
    try writeAtomically(experiment.split.json, to: "\(configuration.run.dir)/split.json")
  }
  let stepsPerEpoch = experiment.stepsPerEpoch
  if isFinished(state, experiment) {
    log.info("the run is finished: \(state.step) steps, \(state.epoch) epochs")
    return
  }
  describe(experiment, source, log)

  if settings.lanes % cluster.size != 0 && cluster.isRoot {
    log.warning(
      "\(cluster.size) ranks do not divide \(settings.lanes) lanes (training.lanes): results equal those of other world sizes to rounding only"
    )
  }
  let step = TrainingStep(
    model, batch: settings.batch, team: experiment.team, cluster: cluster, weightDecay: settings.weightDecay,
    clip: settings.clip, seed: configuration.run.seed)
  let pass = step.pass
  let reader = TrainingReader(experiment, source: source, epoch: state.epoch, batch: state.batchInEpoch)
  let validation = EvaluationPass(experiment, source: source)
  let signals = SignalWatch()
  let firstStep = state.step
  var lastCheckpoint = Date()
  let started = Date()
  if options.isProfiled { Profile.begin() }

  func save(isBest: Bool) throws {
    try cluster.onRoot {
      try folder.write(
        makeCheckpoint(experiment, state, mode: source.mode), step: state.step, isBest: isBest,
        bestStep: state.best?.step)
    }
    lastCheckpoint = Date()
  }

  /// Whether `--stop-after-steps` has been reached.
  func isStopping() -> Bool { options.stopAfterSteps.map { state.step - firstStep >= $0 } ?? false }

  while !isFinished(state, experiment) {
    if state.batchInEpoch == stepsPerEpoch {
      state.epoch += 1
      state.batchInEpoch = 0
      (state.lossSum, state.correct, state.samples) = (0, 0, 0)
    }
    let phase = experiment.phase(epoch: state.epoch)
    let view = experiment.view(epoch: state.epoch, isCached: source.isCached)
    let flop = model.trainingProducts(phase, isLive: !source.isCached).flop
    let order = epochOrder(experiment.split.train, seed: configuration.run.seed, epoch: state.epoch)

    while state.batchInEpoch < stepsPerEpoch {
      // Load, and agree with the other ranks whether to go on.
      let stepStart = Date()
      let otherBytesBefore = cluster.otherBytesSent
      let first = state.batchInEpoch * settings.batch
      let ids = Array(order[first..<min(first + settings.batch, order.count)])
      pass.begin(batch: ids.count)
      let failure = Profile.of(.data) { reader.load(ids, view: view, into: pass) }
      let dataWait = Date().timeIntervalSince(stepStart)
      let isDue =
        cluster.isRoot && configuration.checkpoint.everyMinutes > 0
        && Date().timeIntervalSince(lastCheckpoint) > configuration.checkpoint.everyMinutes * 60
      let call = Profile.of(.ranks) {
        cluster.maximum((failure != nil ? 4 : 0) | (signals.pending != nil ? 2 : 0) | (isDue ? 1 : 0))
      }
      if call >= 4 { try cluster.share(failure) }
      if call >= 2 {
        try save(isBest: false)
        throw cluster.agreed(
          .interrupted(
            "interrupted at step \(state.step); \(folder.file(step: state.step)) is written: run the same command again"
          ))
      }
      if call == 1 { try save(isBest: false) }

      // Forward, backward, sum, update.
      let rate = experiment.learningRate(step: state.step)
      let result = step.run(
        phase, number: state.step + 1, learningRate: rate,
        injectsNaN: settings.injectNaNAtStep == state.step + 1 && cluster.isRoot)
      let outcome = result.outcome
      state.skipped = result.isUpdated ? 0 : state.skipped + 1
      if !result.isUpdated && cluster.isRoot {
        log.warning("step \(state.step + 1): the update is refused: loss \(outcome.loss), gradient norm \(result.norm)")
      }
      state.step += 1
      state.batchInEpoch += 1
      if outcome.loss.isFinite {
        state.lossSum += outcome.loss * Double(ids.count)
        state.correct += outcome.correct
        state.samples += ids.count
      }
      let seconds = Date().timeIntervalSince(stepStart)
      try cluster.agree {
        try log.metric([
          ("event", .text("step")), ("epoch", .integer(state.epoch)), ("step", .integer(state.step)),
          ("phase", .text(phase.rawValue)), ("loss", .number(outcome.loss)),
          ("loss_pb", .number(outcome.perceptionLoss)), ("loss_ab", .number(outcome.attentionLoss)),
          ("lr", .number(rate)), ("grad_norm", .number(result.norm)),
          ("samples_per_s", .number(Double(ids.count) / seconds)),
          ("data_wait_ms", .number(dataWait * 1000)),
          ("gflops", .number(flop * Double(ids.count) / seconds / 1e9)),
          ("gradient_bytes", .integer(model.trainedCount(phase) * 4)),
          ("gradient_ms", .number(result.gradientCost.milliseconds)),
          ("gradient_wait_ms", .number(result.gradientCost.waitMilliseconds)),
          ("other_bytes", .integer(cluster.otherBytesSent - otherBytesBefore)),
        ])
      }
      log.progress(
        state.step, of: settings.epochs * stepsPerEpoch, doing: "epoch \(state.epoch) (\(phase.rawValue)) step",
        rate: Double(state.step - firstStep) / Date().timeIntervalSince(started), unit: "steps",
        detail: String(format: "loss %.4f", outcome.loss))
      if state.skipped >= settings.maxSkipped {
        let last = folder.steps().first.map { folder.file(step: $0) } ?? "none"
        throw cluster.agreed(
          .internalError(
            "\(state.skipped) updates in a row were not finite (training.max_skipped); the last good checkpoint is \(last)"
          ))
      }
      if isStopping() && state.batchInEpoch < stepsPerEpoch {
        try save(isBest: false)
        break
      }
    }

    if state.batchInEpoch < stepsPerEpoch { break }

    // The epoch's end: figures, validation, checkpoint.
    try endEpoch(&state, phase, experiment, log)
    var isBest = false
    if phase.isValidated && !experiment.split.valid.isEmpty {
      isBest = try validate(&state, validation, experiment, log)
    }
    let every = configuration.checkpoint.everyEpochs
    if isBest || (every > 0 && state.epoch % every == 0) || isFinished(state, experiment) || isStopping() {
      try save(isBest: isBest)
    }
    if isStopping() { break }
  }
  if options.isProfiled {
    let table = Profile.end(threads: experiment.team.threadCount).table
    if cluster.isRoot { log.info("where the time of rank 0 went:\n\(table)") }
  }
  log.info(
    "\(isFinished(state, experiment) ? "finished" : "stopped"): \(state.step) steps, \(state.epoch) epochs, peak memory \(cluster.maximum(Processor.peakMemory())) MiB a rank"
      + (state.best.map { String(format: "; best epoch %d, validation accuracy %.4f", $0.epoch, $0.accuracy) } ?? ""))
}

/// Whether nothing is left to do.
private func isFinished(_ state: TrainingState, _ experiment: Experiment) -> Bool {
  let isLast = state.epoch >= experiment.configuration.training.epochs
  return state.batchInEpoch == experiment.stepsPerEpoch && (isLast || state.isStoppedEarly)
}

/// Says what the run is made of.
private func describe(_ experiment: Experiment, _ source: SampleSource, _ log: RunLog) {
  let model = experiment.model
  let encoder = model.encoder
  log.info(
    "encoder \(encoder.spelling.rawValue): width \(encoder.width), \(encoder.depth) of \(encoder.availableDepth) blocks, "
      + "patch \(encoder.patch), grid \(encoder.grid) x \(encoder.grid), activation \(encoder.activation.rawValue)"
      + (encoder.fileGrid == encoder.grid ? "" : ", positions resampled from \(encoder.fileGrid) x \(encoder.fileGrid)")
  )
  log.info(
    "trained parameters: \(model.trainedCount(.alpha)) in alpha epochs, \(model.trainedCount(.ones)) in ones epochs")
  log.info(
    "images: \(experiment.split.train.count) train, \(experiment.split.valid.count) valid, \(experiment.split.test.count) test; "
      + "\(experiment.dataset.classes.count) classes; \(source.isCached ? "from the cache" : "live")")
  log.info(
    "\(experiment.cluster.size) rank\(experiment.cluster.size == 1 ? "" : "s") x \(experiment.team.threadCount) threads, "
      + "\(experiment.configuration.training.lanes) lanes; BLAS kernel \(blasKernel())")
  experiment.describeEncoder(log)
}

/// Fresh weights, a checkpoint's, or `--init`'s; the same on every rank.
private func begin(
  _ experiment: Experiment, _ options: TrainingOptions, _ folder: CheckpointFolder, mode: String, log: RunLog
) throws -> TrainingState {
  let cluster = experiment.cluster
  let store = experiment.model.parameters
  var state = TrainingState()
  try cluster.onRoot {
    var found: (path: String, checkpoint: Checkpoint)?
    switch options.resume {
    case .never:
      if !folder.steps().isEmpty {
        log.info("--resume never: the run in \(experiment.configuration.run.dir) starts anew")
        for step in folder.steps() { unlink(folder.file(step: step)) }
        unlink(folder.last)
        unlink(folder.best)
        try log.beginAnew(folder: experiment.configuration.run.dir)
      }
    case .file(let path): found = (path, try Checkpoint.read(path))
    case .automatic:
      let newest = try folder.newest { log.warning("\($0); the checkpoint before it is used") }
      found = newest.map { (folder.file(step: $0.step), $0.checkpoint) }
      if found == nil, let damaged = folder.steps().first {
        throw Failure.badData(
          "\(folder.file(step: damaged)): no checkpoint of this run is sound; --resume never starts anew")
      }
    }
    if let (path, checkpoint) = found {
      try checkFits(experiment, checkpoint, path: path, mode: mode, log: log)
      try restore(store, checkpoint, path: path)
      state = try TrainingState(json: checkpoint.text("progress") ?? "", path: path)
      log.info("resuming from \(path): epoch \(state.epoch), step \(state.step)")
      if let file = options.initialWeights {
        log.warning(
          "--init \(file) has no effect: a run goes on; --resume never would start it anew from these weights")
      }
    } else {
      store.initialise(seed: experiment.configuration.run.seed)
      if let file = options.initialWeights {
        // The same encoder may lie in another file, and a new run may well begin with another encoder.
        let difference = encoderDifference(
          try storedAttributes(file), experiment.model.encoder.file, sha256: experiment.encoderSHA256, path: file)
        if let difference { log.warning("\(difference)") }
        try setModel(store, try readModelTensors(file, program: options.program), path: file)
        log.info("starting from the weights of \(file)")
      }
    }
  }
  cluster.broadcast(store)
  let json = try cluster.fromRoot { Array(state.json.utf8) }
  return try TrainingState(json: String(decoding: json, as: UTF8.self), path: "the state of rank 0")
}

/// Refuses to go on with a checkpoint under settings that would change the result.
private func checkFits(
  _ experiment: Experiment, _ checkpoint: Checkpoint, path: String, mode: String, log: RunLog
) throws {
  let stored = try Configuration(resolvedYAML: checkpoint.text("config") ?? "", place: path)
  let differences = experiment.configuration.differences(from: stored)
  if !differences.isEmpty {
    let list = differences.map { "\($0.key) is \($0.own), the run has \($0.other)" }.joined(separator: "; ")
    let offer =
      differences.contains { $0.key == "training.epochs" }
      ? " (to train longer, start another run with --init \(path))" : ""
    throw Failure.badConfiguration("\(path): cannot be resumed under settings that change the result: \(list)\(offer)")
  }
  for (key, own, setting) in [
    ("encoder_sha256", experiment.encoderSHA256, "encoder.weights"),
    ("dataset_sha256", experiment.dataset.digest, "data.root"),
  ] where checkpoint.text(key) != own {
    throw Failure.badConfiguration("\(path): was trained with other contents of \(setting) (\(key) differs)")
  }
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

private func endEpoch(_ state: inout TrainingState, _ phase: Phase, _ experiment: Experiment, _ log: RunLog) throws {
  let n = Double(max(state.samples, 1))
  let (loss, accuracy) = (state.lossSum / n, Double(state.correct) / n)
  try experiment.cluster.onRoot {
    let digest = Checkpoint.digest(modelTensors(experiment.model.parameters))
    try log.metric([
      ("event", .text("epoch")), ("epoch", .integer(state.epoch)), ("phase", .text(phase.rawValue)),
      ("split", .text("train")), ("loss", .number(loss)), ("accuracy", .number(accuracy)),
      ("model_sha256", .text(digest)),
    ])
    log.info(
      String(
        format: "epoch %d (%@): train loss %.4f, accuracy %.4f; model %@", state.epoch, phase.rawValue, loss,
        accuracy, digest))
  }
}
