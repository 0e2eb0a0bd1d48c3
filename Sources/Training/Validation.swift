import Evaluation
import Experiments
import Dataset
import Metrics
import Foundation
import Images
import Reporting
import Settings

/// Validates, and notes whether this is the best so far and whether to stop.
func validate(
  _ state: inout TrainingState, _ validation: EvaluationPass, _ experiment: Experiment, _ log: RunLog
) throws -> Bool {
  let outcomes = try validation.run(
    experiment.split.valid, .validation(experiment.configuration.evaluation), log: log, doing: "validation")
  let n = Double(outcomes.count)
  let ious = outcomes.compactMap(\.record.iouMeanStd)
  let areas = experiment.model.mapSide != nil ? outcomes.compactMap(\.record.mapArea) : []
  let loss = outcomes.reduce(0) { $0 + ($1.loss ?? .nan) } / n
  let result = TrainingState.Best(
    epoch: state.epoch, step: state.step,
    accuracy: outcomes.reduce(0) { $0 + ($1.record.isRight ? 1 : 0) } / n,
    loss: loss.isFinite ? loss : .infinity,
    iou: ious.isEmpty ? nil : ious.reduce(0, +) / Double(ious.count))
  let isBest = state.isBetter(result, select: experiment.configuration.training.select)
  if isBest {
    state.best = result
    state.validationsWithoutBetter = 0
  } else {
    state.validationsWithoutBetter += 1
    let patience = experiment.configuration.training.patience
    state.isStoppedEarly = patience > 0 && state.validationsWithoutBetter >= patience
  }
  for warning in maskWarnings(outcomes.map(\.record), experiment) { log.warnOnce(warning) }
  try experiment.cluster.onRoot {
    try log.pictures(try overlays(outcomes, experiment))
    try log.metric([
      ("event", .text("epoch")), ("epoch", .integer(state.epoch)),
      ("phase", .text(experiment.phase(epoch: state.epoch).name)), ("split", .text("valid")),
      ("accuracy", .number(result.accuracy)), ("loss", .number(result.loss)), ("iou", .number(result.iou)),
      ("map_area", .number(areas.isEmpty ? nil : areas.reduce(0, +) / Double(areas.count))),
    ])
    log.info(
      String(format: "epoch %d: validation accuracy %.4f, loss %.4f", state.epoch, result.accuracy, result.loss)
        + (result.iou.map { String(format: ", IoU %.4f", $0) } ?? "")
        + (isBest ? " (best)" : "")
        + (state.isStoppedEarly ? "; no better one for \(state.validationsWithoutBetter): stopping" : ""))
  }
  return isBest
}

/// The most validation images whose maps are shown.
public let mostShownMaps = 8

/// The maps of some validation images over their views, the same images each time.
private func overlays(
  _ outcomes: [ImageOutcome], _ experiment: Experiment
) throws -> [(tag: String, image: RGBImage)] {
  let source = SampleSource(experiment, cache: nil)
  let step = max(1, outcomes.count / mostShownMaps)
  return try stride(from: 0, to: outcomes.count, by: step).prefix(mostShownMaps).compactMap { index in
    let outcome = outcomes[index]
    guard outcome.record.isFinite, let image = experiment.dataset.image(outcome.record.imageID) else { return nil }
    let picture = overlay(
      try source.evaluationView(of: image), map: outcome.map.values, side: outcome.side, mask: nil)
    return ("maps/\(image.id)", picture)
  }
}
