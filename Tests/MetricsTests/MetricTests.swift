import Metrics
import Foundation
import Images
import TestSupport
import Testing

/// Values by hand, and some that PyTorch has printed.

@Test func bilinearEnlargementHasHalfPixelCentres() {
  let row = upsampleBilinear([0, 1, 4, 9].flatMap { v in [Float](repeating: v, count: 4) }, grid: 4, to: 6)
  #expect((0..<6).map { row[$0 * 6] } == [0, 0.5, 1.5, 3.5, 6.5, 9])
}

@Test func iouIsStrictlyAboveItsThresholdAndAnEmptyUnionCountsZero() {
  let map: [Float] = [0, 0.5, 0.6, 1]
  #expect(intersectionOverUnion(map, above: 0.5, [false, true, true, true]) == 2.0 / 3)
  #expect(intersectionOverUnion(map, above: 1, [false, false, false, false]) == 0)
}

@Test func meanPlusStandardDeviationIsThePopulations() {
  // 1, 2, 3, 6: mean 3, population variance 3.5.
  #expect(abs(meanStdThreshold([1, 2, 3, 6]) - (3 + 1.8708287)) < 1e-6)
}

@Test func theCurveEqualsIoUAtEveryThreshold() {
  let map = (0..<400).map { Float(($0 * 37) % 101) / 100 }
  let mask = (0..<400).map { $0 % 3 == 0 }
  let counts = ThresholdCounts(normalised: map, mask)
  for (threshold, iou) in zip(curveThresholds, counts.iou) {
    #expect(abs(iou - intersectionOverUnion(map, above: threshold, mask)) < 1e-12)
  }
}

@Test func aConstantMapBecomesZero() { #expect(normalised([3, 3, 3]) == [0, 0, 0]) }

@Test func theLargestComponentIsEightConnectedAndTheFirstAmongEquals() {
  let map: [Float] = [
    1, 0, 0, 0, 1,
    0, 1, 0, 0, 1,
    0, 0, 0, 0, 0,
    1, 1, 0, 0, 0,
    0, 0, 0, 0, 0,
  ]
  #expect(largestComponentBox(map, side: 5, above: 0.5) == Box(x0: 0, y0: 0, x1: 2, y1: 2))
  #expect(largestComponentBox(map, side: 5, above: 1) == nil)
}

@Test func boxesAreHalfOpen() {
  let one = Box(x0: 0, y0: 0, x1: 10, y1: 10)
  #expect(intersectionOverUnion(one, Box(x0: 5, y0: 5, x1: 15, y1: 15)) == 25.0 / 175)
  #expect(intersectionOverUnion(one, Box(x0: 10, y0: 0, x1: 20, y1: 10)) == 0)
}

@Test func aPerfectMapScoresOneAndItsInverseNothing() {
  let side = 20
  let mask = (0..<400).map { (5..<15).contains($0 % side) && (4..<12).contains($0 / side) }
  let box = Box(x0: 5, y0: 4, x1: 15, y1: 12)
  var perfect = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  perfect.measure(mask.map { $0 ? 1 : 0 }, side: side, mask: mask, box: box)
  #expect(perfect.iouHalf == 1 && perfect.iouMeanStd == 1 && perfect.isPointing == true)
  var inverse = ImageRecord(imageID: 2, label: 1, predicted: 2, probability: 0)
  inverse.measure(mask.map { $0 ? 0 : 1 }, side: side, mask: mask, box: box)
  #expect(inverse.iouHalf == 0 && inverse.isPointing == false)
  let summary = EvaluationSummary([perfect, inverse], validThreshold: nil, EvaluationContext())
  #expect(summary["accuracy"] == 0.5 && summary["mean_iou.half"] == 0.5 && summary["max_box_acc"] == 0.5)
  #expect(summary["mean_iou.valid"] == summary["mean_iou.mean_std"])
}

@Test func pixelAveragePrecisionOfAPerfectMapIsOne() {
  let mask = (0..<100).map { $0 < 30 }
  let counts = ThresholdCounts(normalised: mask.map { $0 ? 1 : 0 }, mask)
  #expect(abs(pixelAveragePrecision([counts]) - 1) < 1e-12)
}

@Test func imagesWithoutAMaskAreLeftOutAndCounted() throws {
  let bare = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  let summary = EvaluationSummary([bare], validThreshold: 3, EvaluationContext())
  #expect(
    summary["mean_iou.half"] == nil && summary["mean_iou.valid"] == nil && summary.counts.withMask == 0
      && summary.counts.images == 1)
  #expect(EvaluationSummary.csv([bare], validThreshold: nil, subset: "").split(separator: "\n").count == 2)
}

/// 3×3 pixels, the brightest at index 4, then two equal ones.
@Test func pixelsComeInDescendingOrderAndTiesByIndex() {
  #expect(descendingOrder([0, -1, 0.5, 2, 7, 2, -0.0, 1, 1]) == [4, 3, 5, 7, 8, 2, 0, 6, 1])
  let plan = PerturbationPlan(map: [0, -1, 0.5, 2, 7, 2, -0.0, 1, 1], steps: 2)
  #expect(plan.counts == [0, 5, 9] && plan.fractions == [0, 0.5, 1])
  #expect(plan.area([0.9, 0.5, 0.1]) == 0.5)
}

@Test func aConstantMapIsPerturbedInRowMajorOrder() {
  let plan = PerturbationPlan(map: [Float](repeating: 0.3, count: 16), steps: 4)
  #expect(plan.order == (0..<16).map { Int32($0) } && plan.counts == [0, 4, 8, 12, 16])
}

/// Half of the map's pixels lie above the middle of its range: 24 of 48 points show that half, the rest everything.
@Test func theLabProtocolShowsWholeLevels() {
  let map = (0..<96).map { Float($0 < 48 ? 0.2 : 0.9) } + [Float](repeating: 0, count: 0)
  let plan = PerturbationPlan(labMap: map)
  #expect(plan.counts.count == 48 && plan.fractions.first == 1.0 / 48 && plan.fractions.last == 1)
  #expect(Set(plan.counts) == [48, 96] && plan.counts.count { $0 == 48 } == 24)
  #expect(plan.order.prefix(48).allSatisfy { $0 >= 48 })
}

@Test func theLabRuleSmoothsTheMapAfterItsThreshold() {
  let side = 21
  var map = [Float](repeating: 0, count: side * side)
  map[10 * side + 10] = 1
  // The smoothed peak of a single pixel is 1/2π at its centre; mean + sd of the map is 0.05.
  var mask = [Bool](repeating: false, count: side * side)
  for (y, x) in [(10, 10), (9, 10), (11, 10), (10, 9), (10, 11), (9, 9), (9, 11), (11, 9), (11, 11)] {
    mask[y * side + x] = true
  }
  #expect(labIntersectionOverUnion(map, side: side, mask) == 1)
  #expect(intersectionOverUnion(map, above: meanStdThreshold(map), mask) == 1.0 / 9)
}

@Test func whatCannotBeMeasuredIsCountedSaidAndNeverAveraged() throws {
  var good = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  good.maskState = .used
  good.measure([0, 0, 1, 1], side: 2, mask: [false, false, true, true], box: nil)
  var empty = ImageRecord(imageID: 2, label: 1, predicted: 1, probability: 1)
  empty.maskState = .empty
  empty.measure([0, 0, 1, 1], side: 2, mask: [Bool](repeating: false, count: 4), box: nil)
  var misfit = ImageRecord(imageID: 3, label: 1, predicted: 2, probability: 0)
  misfit.maskState = .wrongSize
  var broken = ImageRecord(imageID: 4, label: 1, predicted: 1, probability: .nan)
  broken.isFinite = false
  let summary = EvaluationSummary([good, empty, misfit, broken], validThreshold: nil, EvaluationContext())
  #expect(summary["mean_iou.half"] == 0.5)
  #expect(summary.counts.withMask == 2 && summary.counts.maskEmpty == 1 && summary.counts.maskWrongSize == 1)
  #expect(summary.counts.maskAbsent == 1 && summary.counts.notFinite == 1)
  for word in ["another size", "not finite", "no mask", "steps is 0", "box"] {
    #expect(summary.leftOut.contains { $0.contains(word) }, "\(word)")
  }
  #expect(summary["accuracy"] == 0.5, "a prediction of NaN is none")
  #expect(summary.notes.contains { $0.hasPrefix("counted as 0") && $0.contains("1 image") })
  var boxed = good
  boxed.measure([0, 0, 1, 1], side: 2, mask: nil, box: Box(x0: 0, y0: 1, x1: 2, y1: 2))
  let half = EvaluationSummary([good, boxed, broken], validThreshold: nil, EvaluationContext())
  #expect(half.leftOut.contains("MaxBoxAcc and MaxBoxAccV2 of 1 image: no box in the view"))
  let lost = EvaluationSummary([broken], validThreshold: nil, EvaluationContext())
  #expect(!lost.leftOut.contains { $0.contains("box in") })
  let csv = EvaluationSummary.csv([broken], validThreshold: nil, subset: "1 of 4 images; seed 0")
  #expect(csv.hasSuffix("\n4,1,,,,,,,,,,,,absent,1 of 4 images; seed 0\n"))
  let json = String(decoding: try JSONEncoder().encode(summary), as: UTF8.self)
  #expect(json.contains("\"insertion\":null") && json.contains("\"max_box_acc\":null"))
}

@Test func curvesCarryTheirMeanAndSpread() {
  var one = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  var other = one
  let plan = PerturbationPlan(map: [3, 2, 1, 0], steps: 2)
  one.measure(plan, insertion: [0, 0.5, 1], deletion: [1, 0.5, 0])
  other.measure(plan, insertion: [0, 1, 1], deletion: [1, 0, 0])
  var context = EvaluationContext()
  context.fractions = plan.fractions
  let summary = EvaluationSummary([one, other], validThreshold: nil, context)
  #expect(summary.insertionCurve?.mean == [0, 0.75, 1] && summary.insertionCurve?.sd == [0, 0.25, 0])
  #expect(summary["insertion"] == 0.625 && summary["deletion"] == 0.375 && summary["id"] == 0.25)
  var broken = one
  broken.insertion = nil
  broken.measure(plan, insertion: [0, .nan, 1], deletion: [1, 0, 0])
  #expect(!broken.isFinite)
}

@Test func aSummaryIsReadAsItWasWrittenWithoutFiguresThatAreNotInTheFile() throws {
  var record = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 0.5)
  record.measure([0, 0, 1, 1], side: 2, mask: [false, false, true, true], box: nil)
  let summary = EvaluationSummary([record], validThreshold: 7, EvaluationContext())
  let data = try JSONEncoder().encode(summary)
  #expect(try JSONDecoder().decode(EvaluationSummary.self, from: data) == summary)
  var object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  let rules = try #require(object["mean_iou"] as? [String: Double])
  #expect(rules.keys.sorted() == ["half", "mean_std", "valid"] && object["valid_threshold"] as? Double != nil)
  for figure in FigureTable.figures where !figure.key.contains(".") && figure.need != .method {
    #expect(object[figure.key] != nil, "\(figure.key)")
  }
  object["pxap"] = nil
  let older = try JSONDecoder().decode(
    EvaluationSummary.self, from: try JSONSerialization.data(withJSONObject: object))
  #expect(older["pxap"] == nil && older["accuracy"] == 1)
}

@Test func aFigureThatOnlyAMethodTellsStandsWhereItIsToldAndNowhereElse() throws {
  var record = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 0.5)
  let without = EvaluationSummary([record], validThreshold: nil, EvaluationContext())
  #expect(!String(decoding: try JSONEncoder().encode(without), as: UTF8.self).contains("split_half"))
  record.notes = ["masks": 250, "split_half": 0.75]
  let told = EvaluationSummary([record, record], validThreshold: nil, EvaluationContext())
  #expect(told["masks"] == 250 && told["split_half"] == 0.75)
  #expect(try JSONDecoder().decode(EvaluationSummary.self, from: try JSONEncoder().encode(told)) == told)
  let lines = EvaluationSummary.csv([record], validThreshold: nil, subset: "").split(separator: "\n")
  #expect(lines[0].hasSuffix(",id,masks,split_half,mask,subset") && lines[1].hasSuffix(",250.0,0.75,absent,"))
}

@Test func everyFigureHasItsOwnKeyAndColumnAndItsPlaceInEveryOutput() {
  let figures = FigureTable.figures
  #expect(Set(figures.map(\.key)).count == figures.count)
  #expect(Set(figures.compactMap(\.column)).count == figures.count { $0.column != nil })
  let columns = figures.filter { $0.need != .method }.compactMap(\.column)
  let head = EvaluationSummary.csv([], validThreshold: nil, subset: "").split(separator: "\n")[0]
  #expect(head == "image_id,label,predicted,probability,\(columns.joined(separator: ",")),mask,subset")
}

@Test func mapAreaIsTheShareStrictlyAboveOneHalfOfTheMapAsItWasMade() {
  var record = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  record.measure(raw: [0.5, 0.6, 0.4, 12])
  #expect(record.mapArea == 0.5)
  // Enlarging and normalising the map, which the other figures do, leaves it as it is.
  record.measure([0, 1, 2, 3], side: 2, mask: [true, false, true, false], box: nil)
  #expect(record.mapArea == 0.5)
  let other = ImageRecord(imageID: 2, label: 1, predicted: 1, probability: 1)
  let summary = EvaluationSummary([record, other], validThreshold: nil, EvaluationContext())
  #expect(summary["map_area"] == 0.5)
}
