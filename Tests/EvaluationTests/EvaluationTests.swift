import Evaluation
import Images
import Testing

/// Values by hand, and of reference.md's table.

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
  let box = [5.0, 4.0, 15.0, 12.0]
  var perfect = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  perfect.measure(mask.map { $0 ? 1 : 0 }, side: side, mask: mask, box: box)
  #expect(perfect.iouHalf == 1 && perfect.iouMeanStd == 1 && perfect.isPointing == true)
  var inverse = ImageRecord(imageID: 2, label: 1, predicted: 2, probability: 0)
  inverse.measure(mask.map { $0 ? 0 : 1 }, side: side, mask: mask, box: box)
  #expect(inverse.iouHalf == 0 && inverse.isPointing == false)
  let summary = EvaluationSummary([perfect, inverse], validThreshold: nil, settings: [:], controls: [:])
  #expect(summary.accuracy == 0.5 && summary.meanIoU["half"] == 0.5 && summary.maxBoxAcc == 0.5)
  #expect(summary.meanIoU["valid"] == summary.meanIoU["mean_std"])
}

@Test func pixelAveragePrecisionOfAPerfectMapIsOne() {
  let mask = (0..<100).map { $0 < 30 }
  let counts = ThresholdCounts(normalised: mask.map { $0 ? 1 : 0 }, mask)
  #expect(abs(pixelAveragePrecision([counts]) - 1) < 1e-12)
}

@Test func imagesWithoutAMaskAreLeftOutAndCounted() {
  let bare = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
  let summary = EvaluationSummary([bare], validThreshold: 3, settings: [:], controls: [:])
  #expect(summary.meanIoU.isEmpty && summary.counts.withMask == 0 && summary.counts.images == 1)
  #expect(EvaluationSummary.csv([bare], validThreshold: nil).split(separator: "\n").count == 2)
}
