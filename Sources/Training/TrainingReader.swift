import Dataset
import Experiments
import Failures
import Lanes
import Networks
import Tensor

/// This rank's training samples, read while the steps before them run.
///
/// The order is the run's own (docs/model.md, "Data and order"), over the borders of epochs, so that what is read ahead
/// is what will be asked for; where the run ends early the rest is thrown away.
public final class TrainingReader {
  private let experiment: Experiment
  private let source: SampleSource
  private let ahead: ReadAhead
  private var rows: [SampleRow] = []

  /// Batches that are read ahead or in use: one that is being put into the model's memory, and the next.
  private static let batches = 2

  /// Begins to read at the place where a run stands.
  ///
  /// - Parameters:
  ///   - epoch, batch: of the next step; a batch beyond an epoch's last is the next epoch's first.
  public init(_ experiment: Experiment, source: SampleSource, epoch: Int, batch: Int) {
    self.experiment = experiment
    self.source = source
    let training = experiment.configuration.training
    let cluster = experiment.cluster
    let share = LanePlan.largestShare(batch: training.batch, lanes: training.lanes, world: cluster.size)
    var order = TrainingOrder(experiment, isCached: source.isCached, epoch: epoch, batch: batch)
    // A cached row costs a copy and a checksum; an image must be decoded and resized.
    let threads = source.isCached ? 1 : max(1, experiment.team.threadCount / 2)
    ahead = ReadAhead(source, rows: Self.batches * share, threads: threads) { order.next() }
  }

  /// Puts this rank's share of the next batch into a pass that has begun it.
  ///
  /// - Parameters:
  ///   - ids, view: of the whole batch, which must be the one whose turn it is.
  /// - Returns: the failure of the first sample that could not be read, for the ranks to agree on.
  public func load(_ ids: [Int], view: Int, into pass: any NetworkPass) -> Failure? {
    let own = pass.ownPositions
    rows.removeAll(keepingCapacity: true)
    for position in own {
      guard let row = ahead.take(), row.request == SampleRequest(imageID: ids[position], view: view) else {
        preconditionFailure("the samples are read in another order than they are trained in")
      }
      rows.append(row)
    }
    let failure = rows.lazy.compactMap(\.failure).first
    if failure == nil {
      experiment.team.run(rows.count) { index, _ in
        let row = rows[index]
        guard let image = experiment.dataset.image(row.request.imageID) else { return }
        let input = source.deliver(
          row, patches: pass.patches(index), tail: pass.tail(index), feature: { pass.feature($0, index) })
        pass.set(index, label: image.label, input: input)
      }
    }
    for row in rows { ahead.giveBack(row) }
    return failure
  }
}

/// The samples of one rank in the order of a run, from a place in it to the end of its last epoch.
public struct TrainingOrder: IteratorProtocol {
  private let experiment: Experiment
  private let isCached: Bool
  private var epoch: Int
  private var batch: Int
  private var ids: [Int]
  /// What is left of the batch, as positions in `ids`.
  private var left = 0..<0

  public init(_ experiment: Experiment, isCached: Bool, epoch: Int, batch: Int) {
    self.experiment = experiment
    self.isCached = isCached
    self.epoch = epoch
    self.batch = batch
    ids = epochOrder(experiment.split.train, seed: experiment.configuration.run.seed, epoch: epoch)
  }

  public mutating func next() -> SampleRequest? {
    let training = experiment.configuration.training
    while left.isEmpty {
      if batch >= experiment.stepsPerEpoch {
        guard epoch < training.epochs else { return nil }
        epoch += 1
        batch = 0
        ids = epochOrder(experiment.split.train, seed: experiment.configuration.run.seed, epoch: epoch)
      }
      let first = batch * training.batch
      let count = min(training.batch, ids.count - first)
      let cluster = experiment.cluster
      let own = LanePlan(batch: count, lanes: training.lanes, world: cluster.size, rank: cluster.rank).ownSamples
      left = (first + own.lowerBound)..<(first + own.upperBound)
      batch += 1
    }
    defer { left = left.dropFirst() }
    return left.first.map { SampleRequest(imageID: ids[$0], view: experiment.view(epoch: epoch, isCached: isCached)) }
  }
}
