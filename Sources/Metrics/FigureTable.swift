/// Every figure of an evaluation, in the order in which they are shown: `summary.json`, `per_image.csv`, the terminal,
/// the report and docs/figures.md are made from this table.
public enum FigureTable {
  public static let figures: [Figure] = [
    Figure(
      meanOf: { record, _ in record.isRight ? 1 : 0 }, "accuracy", "accuracy", .higher, needs: .nothing,
      style: .percent, "share of images whose predicted class is the true one"),
    meanIoU(.half, "above 0.5 of its range") { record, _ in record.iouHalf },
    meanIoU(.meanStd, "above their mean + standard deviation") { record, _ in record.iouMeanStd },
    meanIoU(.valid, "above `valid_threshold` of its range; `mean_std` where there is none") {
      record, scope in
      scope.validThreshold.flatMap { index in record.iouCurve.map { $0[index] } } ?? record.iouMeanStd
    },
    Figure(
      "valid_threshold", "threshold, best on validation", .neither, needs: .validationMasks,
      "the threshold on the normalised map with the best mean IoU on the validation split",
      overImages: { _, scope in scope.validThreshold.map { Double(curveThresholds[$0]) } }),
    Figure(
      "max_box_acc", "MaxBoxAcc", .higher, needs: .boxes, column: "box_iou_best",
      "share of images whose box IoU is 0.5 or more, at the best of 100 thresholds; an image's own value is its best box IoU",
      perImage: { record, _ in record.boxCurve?.max() },
      overImages: { records, _ in boxAccuracy(records, deltas: [0.5]) }),
    Figure(
      "max_box_acc_v2", "MaxBoxAccV2", .higher, needs: .boxes, "the mean of MaxBoxAcc at 0.3, 0.5 and 0.7",
      overImages: { records, _ in boxAccuracy(records, deltas: [0.3, 0.5, 0.7]) }),
    Figure(
      "pxap", "PxAP", .higher, needs: .masks, "pixel-wise average precision over the pixels of all images",
      overImages: { records, _ in
        let counts = records.compactMap(\.thresholdCounts)
        return counts.isEmpty ? nil : pixelAveragePrecision(counts)
      }),
    Figure(
      meanOf: { record, _ in record.isPointing.map { $0 ? 1 : 0 } }, "pointing", "pointing", .higher,
      needs: .masksOrBoxes, style: .flag, column: "pointing",
      "share of images whose map has its maximum in the mask, or else in the box"),
    Figure(
      meanOf: { record, _ in record.mapArea }, "map_area", "map area", .neither, needs: .nothing, column: "map_area",
      hasSpread: true,
      "mean over images of the share of the map that is above 1/2, neither enlarged nor normalised: of α, how much of the image is seen"
    ),
    Figure(
      meanOf: { record, _ in record.insertion }, "insertion", "insertion", .higher, needs: .perturbation,
      column: "insertion", hasSpread: true, "area under the target's probability while the map's pixels are revealed"),
    Figure(
      meanOf: { record, _ in record.deletion }, "deletion", "deletion", .lower, needs: .perturbation,
      column: "deletion", hasSpread: true, "the same while they are taken away"),
    Figure(
      "id", "ID", .higher, needs: .perturbation, column: "id", hasSpread: true, isMeanOfImages: true,
      "insertion − deletion",
      perImage: { record, _ in record.id },
      overImages: { records, _ in
        mean(records.compactMap(\.insertion)).flatMap { insertion in
          mean(records.compactMap(\.deletion)).map { insertion - $0 }
        }
      }),
    Figure(toldAs: "masks", "masks", .neither, "RISE: the masks that an image's map is made of"),
    Figure(
      toldAs: "split_half", "split-half r", .higher,
      "RISE: Pearson's r of the maps of even and of odd masks; where it is low, more masks would change the map"),
  ]

  /// The figures that stand in the outputs of these records.
  static func shown(_ records: [ImageRecord]) -> [Figure] {
    figures.filter { figure in
      figure.need != .method || records.contains { figure.perImage?($0, Figure.Scope()) != nil }
    }
  }

  private static func meanIoU(_ rule: IoURule, _ meaning: String, _ perImage: @escaping Figure.PerImage) -> Figure {
    Figure(
      meanOf: perImage, IoURule.key(rule.rawValue), "mean IoU (\(rule.rawValue))", .higher, needs: .masks,
      column: "iou_\(rule.rawValue)", "mean over images of the IoU of the mask with the map's pixels \(meaning)")
  }

  private static func boxAccuracy(_ records: [ImageRecord], deltas: [Double]) -> Double? {
    let boxes = records.compactMap(\.boxCurve)
    return boxes.isEmpty ? nil : mean(deltas.map { maxBoxAccuracy(boxes, delta: $0) })
  }

  /// The figure of a key.
  public static func figure(_ key: String) -> Figure? { figures.first { $0.key == key } }

  /// The reference page of all figures, in Markdown; `docs/figures.md` is this text.
  public static var referencePage: String {
    var lines = [
      "# Figures", "",
      "What `ala evaluate` measures, from the table in `Sources/Metrics/FigureTable.swift`. A key with a dot is a member of",
      "an object in `summary.json`; a key marked `*` has its population standard deviation over images beside it, as",
      "`KEY_sd`. What could not be measured is null there, and an empty cell in `per_image.csv`.", "",
      "| key in `summary.json` | title | better | needs | column of `per_image.csv` | meaning |",
      "|---|---|---|---|---|---|",
    ]
    for figure in figures {
      lines.append(
        "| `\(figure.key)`\(figure.hasSpread ? " *" : "") | \(figure.title) | \(figure.direction.rawValue) | "
          + "\(figure.need.rawValue) | \(figure.column.map { "`\($0)`" } ?? "") | \(figure.meaning) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

extension IoURule {
  /// The key of the mean IoU by a rule.
  public static func key(_ rule: String) -> String { "mean_iou.\(rule)" }
}
