import Cluster
import Experiments
import Foundation
import Networks
import Storage

/// What a training run tells of its steps and epochs, in the metrics, the log and the progress line.
final class StepReport {
  private let experiment: Experiment
  private let log: RunLog
  private let firstStep: Int
  private let started = Date()
  private var phase: Phase
  /// Of a sample's step.
  private var flop = 0.0
  // Of the step that has begun.
  private var stepStarted = Date()
  private var otherBytesBefore = 0
  private var dataWait = 0.0
  private var waitedBefore = 0.0
  private var waiting: WaitingTally

  /// - Parameter firstStep: updates made before this process began.
  init(_ experiment: Experiment, firstStep: Int, _ log: RunLog) {
    self.experiment = experiment
    self.log = log
    self.firstStep = firstStep
    phase = experiment.phase(epoch: 1)
    waiting = WaitingTally(experiment.cluster)
  }

  /// Begins an epoch.
  ///
  /// - Parameter flop: floating-point operations of a sample's step in it.
  func begin(_ phase: Phase, flop: Double) {
    self.phase = phase
    self.flop = flop
  }

  func beginStep() {
    stepStarted = Date()
    otherBytesBefore = experiment.cluster.otherBytesSent
    waitedBefore = experiment.cluster.secondsWaited
  }

  /// The step's samples are there.
  func noteData() { dataWait = Date().timeIntervalSince(stepStarted) }

  /// - Parameter state: after the step.
  func endStep(_ state: TrainingState, _ result: TrainingStep.Result, samples: Int, rate: Double) throws {
    let cluster = experiment.cluster
    let outcome = result.outcome
    if !result.isUpdated {
      log.warning("step \(state.step): the update is refused: loss \(outcome.loss), gradient norm \(result.norm)")
    }
    let seconds = Date().timeIntervalSince(stepStarted)
    try cluster.agree {
      try log.metric(
        [
          ("event", .text("step")), ("epoch", .integer(state.epoch)), ("step", .integer(state.step)),
          ("phase", .text(phase.name)), ("loss", .number(outcome.loss)),
        ]
          + outcome.parts.map { ("loss_\($0.name)", .number($0.value)) }
          + [
            ("lr", .number(rate)), ("grad_norm", .number(result.norm)),
            ("samples_per_s", .number(Double(samples) / seconds)), ("data_wait_ms", .number(dataWait * 1000)),
            ("gflops", .number(flop * Double(samples) / seconds / 1e9)),
            ("gradient_bytes", .integer(experiment.model.trainedCount(phase) * 4)),
            ("gradient_ms", .number(result.gradientCost.milliseconds)),
            ("gradient_wait_ms", .number(result.gradientCost.waitMilliseconds)),
            ("other_bytes", .integer(cluster.otherBytesSent - otherBytesBefore)),
          ])
    }
    waiting.note(data: dataWait, ranks: cluster.secondsWaited - waitedBefore)
    log.progress(
      state.step, of: experiment.configuration.training.epochs * experiment.stepsPerEpoch,
      doing: "epoch \(state.epoch) (\(phase.name)) step",
      rate: Double(state.step - firstStep) / Date().timeIntervalSince(started), unit: "steps",
      detail: String(format: "loss %.4f", outcome.loss))
  }

  /// Whether rank 0 wants to know how long the ranks' steps wait.
  var isTallyDue: Bool { waiting.isDue }

  /// Tells how long each rank's steps have waited since the last time. Every rank calls it.
  func tally(_ state: TrainingState) throws {
    guard let means = waiting.gather() else { return }
    try experiment.cluster.onRoot {
      try log.metric([
        ("event", .text("ranks")), ("epoch", .integer(state.epoch)), ("step", .integer(state.step)),
        ("phase", .text(phase.name)), ("waits_for_data_ms", .numbers(means.data)),
        ("waits_for_ranks_ms", .numbers(means.ranks)),
      ])
    }
  }

  func endEpoch(_ state: TrainingState) throws {
    try tally(state)
    let n = Double(max(state.samples, 1))
    let (loss, accuracy) = (state.lossSum / n, Double(state.correct) / n)
    try experiment.cluster.onRoot {
      let digest = modelTensors(experiment.model.parameters).digest()
      try log.metric([
        ("event", .text("epoch")), ("epoch", .integer(state.epoch)), ("phase", .text(phase.name)),
        ("split", .text("train")), ("loss", .number(loss)), ("accuracy", .number(accuracy)),
        ("model_sha256", .text(digest)),
      ])
      log.info(
        String(
          format: "epoch %d (%@): train loss %.4f, accuracy %.4f; model %@", state.epoch, phase.name, loss, accuracy,
          digest))
    }
  }
}
