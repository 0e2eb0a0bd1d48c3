import Cluster
import Dataset
import Evaluation
import Experiments
import Failures
import Files
import Foundation
import Machine
import Networks
import Storage
import Tensor

extension ProfiledPart {
  static let data = ProfiledPart("waiting for data")
  static let checkpoint = ProfiledPart("copying the state for a checkpoint")
}

/// Trains until the last epoch, an early stop, `stopAfterSteps`, or a signal (docs/model.md, "Phases and loss" and
/// "Update").
///
/// - Throws: `Failure` 75 after a signal and a checkpoint that all ranks agree on; 70 after too many refused updates.
public func train(_ experiment: Experiment, _ options: TrainingOptions, log: RunLog) throws {
  let (cluster, configuration) = (experiment.cluster, experiment.configuration)
  let folder = CheckpointFolder(path: "\(configuration.run.dir)/checkpoints", keep: configuration.checkpoint.keep)
  let lock = try openFolder(experiment, folder, log)
  let source = SampleSource(experiment, cache: try openCache(experiment, log: log), log: log)
  let state = try begin(experiment, options, folder, mode: source.mode, log: log)
  try cluster.onRoot {
    try writeAtomically(configuration.resolvedYAML, to: "\(configuration.run.dir)/config.yaml")
    try writeAtomically(experiment.split.json, to: "\(configuration.run.dir)/split.json")
    try StartingCommand.current(ranks: cluster.size, settings: "\(configuration.run.dir)/config.yaml")
      .write(to: configuration.run.dir)
  }
  let run = try TrainingRun(experiment, source, folder, lock, state, options, log)
  defer { withExtendedLifetime(lock) {} }
  if run.isFinished {
    log.info("the run is finished: \(state.step) steps, \(state.epoch) epochs")
    return
  }
  describe(experiment, source, log)
  if options.isProfiled { Profile.begin() }
  try run.train()
  if options.isProfiled {
    let table = Profile.end(threads: experiment.team.threadCount).table
    if cluster.isRoot { log.info("where the time of rank 0 went:\n\(table)") }
  }
  log.info(
    "\(run.isFinished ? "finished" : "stopped"): \(run.state.step) steps, \(run.state.epoch) epochs, peak memory \(cluster.maximum(Processor.peakMemory())) MiB a rank"
      + (run.state.best.map { String(format: "; best epoch %d, validation accuracy %.4f", $0.epoch, $0.accuracy) } ?? "")
  )
  let dir = configuration.run.dir
  let split = experiment.split
  let part = !split.test.isEmpty ? "test" : !split.valid.isEmpty ? "valid" : "train"
  log.info(
    run.isFinished
      ? "next: ala evaluate --checkpoint \(shellWord(dir))\(part == "test" ? "" : " --split \(part)") --out "
        + shellWord("\(dir)/\(part)")
      : "next: the same command goes on with the run")
}

/// A run on its way: where it stands, and what its steps need.
private final class TrainingRun {
  private let experiment: Experiment
  private let source: SampleSource
  private let folder: CheckpointFolder
  /// On rank 0.
  private let lock: RunLock?
  private let options: TrainingOptions
  private let log: RunLog
  private let step: TrainingStep
  private let reader: TrainingReader
  private let validation: EvaluationPass
  private let signals = SignalWatch()
  private let report: StepReport
  private var schedule: CheckpointSchedule
  /// On rank 0.
  private let writer: CheckpointWriter?
  private let firstStep: Int
  private(set) var state: TrainingState

  init(
    _ experiment: Experiment, _ source: SampleSource, _ folder: CheckpointFolder, _ lock: RunLock?,
    _ state: TrainingState, _ options: TrainingOptions, _ log: RunLog
  ) throws {
    let configuration = experiment.configuration
    let settings = configuration.training
    self.experiment = experiment
    self.source = source
    self.folder = folder
    self.lock = lock
    self.options = options
    self.log = log
    self.state = state
    firstStep = state.step
    step = TrainingStep(
      experiment.model, batch: settings.batch, team: experiment.team, cluster: experiment.cluster,
      rule: settings.optimizer == "sgd" ? .sgd(momentum: settings.momentum) : .adamW,
      weightDecay: settings.weightDecay, clip: settings.clip)
    reader = TrainingReader(experiment, source: source, epoch: state.epoch, batch: state.batchInEpoch)
    validation = try EvaluationPass(experiment, source: source)
    schedule = CheckpointSchedule(
      everyMinutes: configuration.checkpoint.everyMinutes, everyEpochs: configuration.checkpoint.everyEpochs,
      start: Date())
    writer = experiment.cluster.isRoot ? CheckpointWriter(folder, of: experiment.model.parameters) : nil
    report = StepReport(experiment, firstStep: state.step, log)
  }

  private var stepsPerEpoch: Int { experiment.stepsPerEpoch }

  /// Whether nothing is left to do.
  var isFinished: Bool {
    let isLast = state.epoch >= experiment.configuration.training.epochs
    return state.batchInEpoch == stepsPerEpoch && (isLast || state.isStoppedEarly)
  }

  /// Whether `--stop-after-steps` has been reached.
  private var isStopping: Bool { options.stopAfterSteps.map { state.step - firstStep >= $0 } ?? false }

  // MARK: The loop

  /// - Throws: what ends the run early; all that was begun of checkpoints is written by then.
  func train() throws {
    do {
      try runEpochs()
    } catch {
      writer?.wait()
      throw error
    }
    try finishWriting()
  }

  private func runEpochs() throws {
    let (cluster, settings) = (experiment.cluster, experiment.configuration.training)
    let seed = experiment.configuration.run.seed
    while !isFinished {
      if state.batchInEpoch == stepsPerEpoch { state.beginNextEpoch() }
      let phase = experiment.phase(epoch: state.epoch)
      let view = experiment.view(epoch: state.epoch, isCached: source.isCached)
      let order = epochOrder(experiment.split.train, seed: seed, epoch: state.epoch)
      report.begin(phase, flop: experiment.model.trainingProducts(phase, isLive: !source.isCached).flop)

      while state.batchInEpoch < stepsPerEpoch {
        // Load, and agree with the other ranks whether to go on.
        report.beginStep()
        cluster.note(.training, state.step + 1)
        let first = state.batchInEpoch * settings.batch
        let ids = Array(order[first..<min(first + settings.batch, order.count)])
        step.pass.begin(batch: ids.count)
        let failure = Profile.of(.data) { reader.load(ids, view: view, into: step.pass) }
        report.noteData()
        try meet(failure)

        // Forward, backward, sum, update.
        let rate = experiment.learningRate(step: state.step)
        let number = state.step + 1
        let result = step.run(
          phase, at: StepPlace(seed: seed, epoch: state.epoch, step: number), learningRate: rate,
          injectsNaN: settings.injectNaNAtStep == number && cluster.isRoot)
        state.note(result, samples: ids.count)

        // Tell; stop where more of it is no use or not wanted.
        try report.endStep(state, result, samples: ids.count, rate: rate)
        try refuseTooMany()
        if isStopping && state.batchInEpoch < stepsPerEpoch { return try save(isBest: false) }
      }

      try endEpoch(phase)
      if isStopping { return }
    }
  }

  /// Hears what other ranks have met: goes on, writes a checkpoint first, or ends on all ranks alike.
  private func meet(_ failure: Failure?) throws {
    let cluster = experiment.cluster
    let failure = failure ?? writer?.failure
    // One that is still being written is recent enough.
    let isDue = writer.map { !$0.isBusy && schedule.isDue(at: Date()) } ?? false
    let call = Profile.of(.ranks) {
      cluster.round(failure: failure, signal: signals.pending, flag: isDue, tally: report.isTallyDue)
    }
    switch call {
    case .none: break
    case .tally: try report.tally(state)
    case .flag: try save(isBest: false)
    case .failure: try cluster.share(failure)
    case .signal:
      try save(isBest: false)
      try finishWriting()
      throw cluster.agreed(
        .interrupted(
          "interrupted at step \(state.step); \(folder.file(step: state.step)) is written: run the same command again"))
    }
  }

  private func refuseTooMany() throws {
    guard state.skipped >= experiment.configuration.training.maxSkipped else { return }
    try finishWriting()
    let last = (try? folder.steps().first).map { folder.file(step: $0) } ?? "none"
    throw experiment.cluster.agreed(
      .internalError(
        "\(state.skipped) updates in a row were not finite (training.max_skipped); the last good checkpoint is \(last)")
    )
  }

  /// Figures, validation, checkpoint.
  private func endEpoch(_ phase: Phase) throws {
    try report.endEpoch(state)
    var isBest = false
    if phase.isValidated && !experiment.split.valid.isEmpty {
      isBest = try validate(&state, validation, experiment, log)
    }
    if schedule.isDue(afterEpoch: state.epoch, isBest: isBest, isLast: isFinished || isStopping) {
      try save(isBest: isBest)
    }
  }

  /// Begins to write a checkpoint of the state as it is now.
  private func save(isBest: Bool) throws {
    try experiment.cluster.onRoot {
      try lock?.check()
      try Profile.of(.checkpoint) {
        try writer?.begin(
          step: state.step, attributes: checkpointAttributes(experiment, state, mode: source.mode), isBest: isBest,
          bestStep: state.best?.step)
      }
      tellOfOldOnes()
    }
    schedule.note(begunAt: Date())
  }

  /// Waits until every checkpoint that was begun is there.
  private func finishWriting() throws {
    try experiment.cluster.onRoot {
      try writer?.finish()
      tellOfOldOnes()
    }
  }

  /// Says once that the folder grows.
  private func tellOfOldOnes() {
    guard let reason = writer?.takeReasonOfOldOnes() else { return }
    log.warning("\(reason); older checkpoints stay, whatever checkpoint.keep says")
  }
}
