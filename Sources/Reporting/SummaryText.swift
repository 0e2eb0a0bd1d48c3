import Foundation
import Metrics

extension EvaluationSummary {
  private static let nameWidth = 40

  /// The figures as lines for a terminal.
  public var terminalLines: [String] {
    let subset = settings["subset"] ?? ""
    var lines = [
      "\(counts.images) images\(subset.isEmpty ? "" : " (\(subset))"), \(counts.withMask) with a mask, "
        + "\(counts.withBox) with a box"
    ]
    for figure in FigureTable.figures {
      if let value = self[figure.key] { lines.append(Self.line(figure.title, value)) }
      if figure.key == IoURule.key(IoURule.valid.rawValue) { lines += controlLines }
    }
    return lines + cascadeLines
  }

  private var cascadeLines: [String] {
    guard let cascade else { return [] }
    return ["cascade: Spearman's \u{3C1} with the trained model's maps, and of how many images (\(cascade.subset))"]
      + cascade.stages.map { stage in
        stage.spearman.map { Self.line("  without \(stage.name)", $0) + "  \(stage.images)" }
          ?? "  without \(stage.name): no image has one"
      }
  }

  private var controlLines: [String] {
    Control.allCases.flatMap { control in
      Control.rules.compactMap { rule in
        controls[control.rawValue]?[rule.rawValue].map { Self.line("  \(control.title) (\(rule.rawValue))", $0) }
      }
    }
  }

  private static func line(_ name: String, _ value: Double) -> String {
    String(format: "%@ %.4f", name.padding(toLength: nameWidth, withPad: " ", startingAt: 0), value)
  }
}
