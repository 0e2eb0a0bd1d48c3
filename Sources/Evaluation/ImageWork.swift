import Explaining
import Metrics

/// An image on its way through an evaluation. Who holds its only piece, or the work's lock, may change it.
final class ImageWork {
  /// Its place among the images of this rank.
  let number: Int
  let view: ExplainedView
  let truth: GroundTruth
  /// The class that is explained, and whose probability the curves follow.
  let target: Int
  var outcome: ImageOutcome
  /// Of the views that its work counts as, those not yet done.
  var viewsLeft: Int
  private var parts: [[Float]?] = []
  private var missing = 0

  init(number: Int, _ view: ExplainedView, _ truth: GroundTruth, target: Int, views: Int, _ outcome: ImageOutcome) {
    self.number = number
    self.view = view
    self.truth = truth
    self.target = target
    self.outcome = outcome
    viewsLeft = views
  }

  /// Makes room for parts up to `count`.
  ///
  /// - Returns: those that are new.
  func parts(wanted count: Int) -> Range<Int> {
    let new = parts.count..<count
    parts += Array(repeating: nil, count: new.count)
    missing += new.count
    return new
  }

  /// Takes over a part of the map.
  ///
  /// - Returns: all parts by index, once none is missing.
  func take(_ part: [Float], _ index: Int) -> [[Float]]? {
    parts[index] = part
    missing -= 1
    return missing == 0 ? parts.compactMap { $0 } : nil
  }
}

/// The curves of an image on their way.
final class Curves {
  let plan: PerturbationPlan
  let views: PerturbedViews
  /// By direction, then by point.
  private(set) var values: [[Double]]
  private var missing: Int

  init(_ plan: PerturbationPlan, _ views: PerturbedViews) {
    self.plan = plan
    self.views = views
    let directions = PerturbedViews.Direction.allCases.count
    values = Array(repeating: Array(repeating: 0, count: plan.counts.count), count: directions)
    missing = directions * plan.counts.count
  }

  /// Takes over values of consecutive points.
  ///
  /// - Returns: whether none is missing.
  func take(_ own: [Double], _ direction: Int, from first: Int) -> Bool {
    values[direction].replaceSubrange(first..<(first + own.count), with: own)
    missing -= own.count
    return missing == 0
  }
}
