import Reporting

/// How much of the image the maps of the base's networks see, epoch by epoch: the paper's argument is that alternating
/// epochs widen the map.
struct MapAreaChart {
  let chart: Chart

  /// The rows whose runs are plotted.
  private static let rows = ["iii", "iv"]

  /// - Returns: nil where no run has told its map area.
  init?(_ plan: TablePlan) throws {
    var series: [Chart.Series] = []
    for (index, name) in Self.rows.enumerated() {
      guard let network = plan.networks.firstIndex(where: { $0.name == name }) else { continue }
      let folders = plan.seeds.map { plan.runFolder(network, seed: $0) }.filter { RunFolder.isPresent($0) }
      let curves = try folders.map { folder in
        try RunFolder(folder).epochs.filter { $0.split == "valid" }
          .compactMap { line in line.map_area.map { (x: Double(line.epoch), y: $0) } }
      }.filter { !$0.isEmpty }
      guard !curves.isEmpty else { continue }
      let colour = Chart.palette[index]
      series += curves.map { Chart.Series("", x: $0.map(\.x), y: $0.map(\.y), colour, isThin: true) }
      let epochs = curves.flatMap { $0.map(\.x) }.uniqued().sorted()
      // An early stop leaves an epoch to fewer seeds.
      let means = epochs.map { epoch in
        let values = curves.compactMap { curve in curve.first { $0.x == epoch }?.y }
        return values.reduce(0, +) / Double(values.count)
      }
      series.append(Chart.Series("(\(name)), mean of \(curves.count) seeds", x: epochs, y: means, colour))
    }
    guard !series.isEmpty else { return nil }
    chart = Chart(
      title: "Map area on validation images", xLabel: "epoch", yLabel: "mean share of the map above 1/2",
      series: series, yRange: 0...1, caption: "thin: single seeds")
  }
}
