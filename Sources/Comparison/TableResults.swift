import Failures
import Metrics
import Reporting
import Statistics

/// What a table's evaluations say together: means over seeds, and tests against the best baseline.
struct TableResults {
  /// A row's figure over its seeds.
  struct Cell {
    var mean: Double
    /// Over n − 1; nil for one seed.
    var sd: Double?
    /// By seed.
    var values: [Double]
    var welch: Double?
    var welchHolm: Double?
    var bootstrap: Double?
    var bootstrapHolm: Double?
    /// Which the tests compare with; nil where there is none, or the figure has no better.
    var bestBaseline: String?
  }

  struct Row {
    let row: ComparedRow
    let network: String
    /// Of which there are evaluations.
    let seeds: [UInt64]
    /// By the figure's key.
    var cells: [String: Cell]
    let failure: Failure?
  }

  private(set) var rows: [Row]
  /// Those that a row has, in their order.
  let figures: [ComparedFigure]
  let images: Int
  let masks: Int
  /// Each row's evaluations, by seed in the order of the table's.
  let evaluations: [[EvaluationFolder]]

  /// Draws of the bootstrap, and their stream (docs/randomness.md).
  static let draws = 10_000
  static let stream = "table.bootstrap"

  /// Reads the evaluations that are there and compares them.
  ///
  /// - Parameter failures: of a row's stages, or of those it rests on.
  /// - Throws: `Failure` 65 or 66 naming a file that cannot be read.
  init(_ plan: TablePlan, failures: [(row: Int, seed: UInt64, failure: Failure)]) throws {
    var evaluations: [[EvaluationFolder]] = []
    var rows: [Row] = []
    for (index, row) in plan.rows.enumerated() {
      let failed = failures.filter { $0.row == index }
      let seeds = plan.seeds.filter { seed in !failed.contains { $0.seed == seed } }
      evaluations.append(try seeds.map { try EvaluationFolder(plan.evaluationFolder(row, seed: $0)) })
      rows.append(
        Row(
          row: row, network: plan.networks[row.network].name, seeds: seeds, cells: [:], failure: failed.first?.failure))
    }
    let figures = ComparedFigure.all(rule: plan.base.evaluation.iouRule)
    for (index, folders) in evaluations.enumerated() {
      for figure in figures {
        let values = folders.compactMap { figure.value($0) }
        guard let mean = mean(values) else { continue }
        rows[index].cells[figure.key] = Cell(mean: mean, sd: sampleDeviation(values), values: values)
      }
    }
    self.figures = figures.filter { figure in rows.contains { $0.cells[figure.key] != nil } }
    self.rows = rows
    self.evaluations = evaluations
    let counts = evaluations.lazy.flatMap { $0 }.first?.summary.counts
    (images, masks) = (counts?.images ?? 0, counts?.withMask ?? 0)
    compare(PairedBootstrap(draws: Self.draws, seed: plan.base.data.splitSeed, stream: Self.stream))
  }

  // MARK: Tests

  /// A row's figure against the best baseline's, image by image.
  private struct Pairing {
    let row: Int
    let key: String
    let differences: [Double]
  }

  private mutating func compare(_ bootstrap: PairedBootstrap) {
    var pairings: [[Int]: [Pairing]] = [:]
    for figure in figures where figure.figure.direction != .neither {
      guard let best = bestBaseline(figure) else { continue }
      let (name, values) = (rows[best].row.name, rows[best].cells[figure.key]?.values ?? [])
      let baseline = perImage(figure, best)
      for index in rows.indices {
        guard var cell = rows[index].cells[figure.key] else { continue }
        cell.bestBaseline = name
        if index != best { cell.welch = welchTest(cell.values, values) }
        rows[index].cells[figure.key] = cell
        guard index != best else { continue }
        guard let own = perImage(figure, index), let baseline else { continue }
        let ids = own.keys.filter { baseline[$0] != nil }.sorted()
        pairings[ids, default: []].append(
          Pairing(row: index, key: figure.key, differences: ids.map { (own[$0] ?? 0) - (baseline[$0] ?? 0) }))
      }
    }
    for (_, list) in pairings {
      for (pairing, p) in zip(list, bootstrap.pValues(list.map(\.differences))) {
        rows[pairing.row].cells[pairing.key]?.bootstrap = p
      }
    }
    for figure in figures { adjust(figure.key) }
  }

  /// The baseline with the best mean, the first among equals; rows of which a seed has failed are none.
  private func bestBaseline(_ figure: ComparedFigure) -> Int? {
    var best: (index: Int, mean: Double)?
    for (index, row) in rows.enumerated() where row.row.role == .baseline && row.failure == nil {
      guard let mean = row.cells[figure.key]?.mean else { continue }
      let isBetter = best.map { figure.figure.direction == .lower ? mean < $0.mean : mean > $0.mean } ?? true
      if isBetter { best = (index, mean) }
    }
    return best?.index
  }

  /// The mean over a row's seeds of each image's value; of images that have one in all of them.
  private func perImage(_ figure: ComparedFigure, _ row: Int) -> [Int: Double]? {
    let seeds = evaluations[row].map { figure.perImage($0) }
    guard let first = seeds.first, let first else { return nil }
    var result: [Int: Double] = [:]
    for id in first.keys {
      let values = seeds.compactMap { $0?[id] }
      if values.count == seeds.count { result[id] = mean(values) }
    }
    return result
  }

  private mutating func adjust(_ key: String) {
    let welch = holmAdjusted(rows.map { $0.cells[key]?.welch })
    let bootstrap = holmAdjusted(rows.map { $0.cells[key]?.bootstrap })
    for index in rows.indices {
      rows[index].cells[key]?.welchHolm = welch[index]
      rows[index].cells[key]?.bootstrapHolm = bootstrap[index]
    }
  }

  // MARK: What tables show

  /// The figures of the main table: the paper's, map area, accuracy; boxes where there are no masks.
  var shown: [ComparedFigure] {
    let localisation = masks > 0 ? ComparedFigure.meanIoU : "max_box_acc_v2"
    let keys = [localisation, "insertion", "deletion", "id", "map_area", "accuracy"]
    return keys.compactMap { key in figures.first { $0.key == key } }
  }

  /// Those of them that are tested.
  var tested: [ComparedFigure] { shown.filter { $0.figure.direction != .neither } }
}
