import Metrics

/// The charts of evaluations, for one method or several.
public enum EvaluationCharts {
  /// Mean IoU at each curve threshold.
  public static func iou(_ methods: [(name: String, curve: [Double])], caption: String) -> Chart {
    Chart(
      title: "Mean IoU over thresholds", xLabel: "threshold on the min-max-normalised map", yLabel: "mean IoU",
      series: methods.enumerated().map { index, method in
        Chart.Series(
          method.name, x: curveThresholds.map { Double($0) }, y: method.curve,
          Chart.palette[index % Chart.palette.count])
      }, yRange: 0...1, caption: caption)
  }

  /// Spearman's ρ with the trained model's maps at each stage of the cascade, a mean over images; the bands are one
  /// standard deviation either way. Methods of networks with other parts have other stages.
  public static func cascade(_ methods: [(name: String, cascade: CascadeSummary)], caption: String) -> Chart {
    var names: [String] = []
    for stage in methods.flatMap(\.cascade.stages) where !names.contains(stage.name) { names.append(stage.name) }
    let series = methods.enumerated().map { index, method in
      let stages = method.cascade.stages
      return Chart.Series(
        method.name, x: [0] + stages.map { Double((names.firstIndex(of: $0.name) ?? 0) + 1) },
        y: [1] + stages.map { $0.spearman ?? .nan }, spread: [0] + stages.map { $0.spearmanSD ?? 0 },
        Chart.palette[index % Chart.palette.count])
    }
    return Chart(
      title: "Cascade of parameter randomisation",
      xLabel: "trained, then without the training of this part and those before",
      yLabel: "Spearman's \u{3C1}", series: series, yRange: -1...1, caption: caption, xNames: ["trained"] + names)
  }

  /// Insertion (solid) and deletion (dashed): means over images; the bands are one standard deviation either way.
  public static func perturbation(
    _ methods: [(name: String, insertion: EvaluationSummary.Curve, deletion: EvaluationSummary.Curve)], caption: String
  ) -> Chart {
    let series = methods.enumerated().flatMap { index, method -> [Chart.Series] in
      let colours =
        methods.count == 1
        ? (Chart.palette[0], Chart.palette[1])
        : (Chart.palette[index % Chart.palette.count], Chart.palette[index % Chart.palette.count])
      return [
        Chart.Series(
          "\(method.name), insertion", x: method.insertion.fraction, y: method.insertion.mean,
          spread: method.insertion.sd,
          colours.0),
        Chart.Series(
          "\(method.name), deletion", x: method.deletion.fraction, y: method.deletion.mean, spread: method.deletion.sd,
          colours.1, isDashed: true),
      ]
    }
    return Chart(
      title: "Insertion and deletion", xLabel: "share of pixels", yLabel: "probability of the target class",
      series: series, yRange: 0...1, caption: caption)
  }
}
