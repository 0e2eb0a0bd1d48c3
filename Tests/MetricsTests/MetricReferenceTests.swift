import Metrics
import Images
import TestSupport
import Testing

/// Every metric against an independent implementation (`scripts/fixtures/metrics.py`, NumPy and SciPy).

private func number(_ name: String, _ fixture: Fixture) throws -> Double { try fixture.doubles(name)[0] }

private func expect(
  _ quantity: String, _ detail: String, _ found: [Double], _ expected: [Double], limit: Double = 1e-12
) {
  let error = found.count == expected.count ? zip(found, expected).map { abs($0 - $1) }.max() ?? 0 : .infinity
  noteDifference(quantity, reference: "NumPy, SciPy", unit: "absolute", error, limit: limit)
  #expect(error <= limit, "\(quantity), \(detail)")
}

/// A case's map at the view's side, its mask and its box.
private func load(_ name: String, _ f: Fixture) throws -> (map: [Float], side: Int, mask: [Bool], box: Box) {
  let g = try f.shape("\(name)/map")[0]
  let side = try f.shape("\(name)/mask")[0]
  let b = try f.doubles("\(name)/box")
  return (
    upsampleBilinear(try f.floats("\(name)/map"), grid: g, to: side), side, try f.bytes("\(name)/mask").map { $0 != 0 },
    Box(x0: b[0], y0: b[1], x1: b[2], y1: b[3])
  )
}

private func caseNames(_ f: Fixture) -> [String] {
  Set(f.names.filter { $0.hasPrefix("case") }.map { String($0.prefix { $0 != "/" }) }).sorted()
}

@Test func everyMetricOfAnImageAgreesWithAnIndependentImplementation() throws {
  let f = try Fixture("metrics.safetensors")
  let names = caseNames(f)
  #expect(names.count >= 12)
  for name in names {
    let (map, side, mask, box) = try load(name, f)
    expect("upsampled map", name, map.map { Double($0) }, try f.doubles("\(name)/upsampled"), limit: 1e-4)
    var record = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
    record.measure(map, side: side, mask: mask, box: box)
    expect("IoU, half", name, [record.iouHalf ?? -1], [try number("\(name)/iou_half", f)])
    expect("IoU, mean + sd", name, [record.iouMeanStd ?? -1], [try number("\(name)/iou_mean_std", f)])
    expect("IoU over thresholds", name, record.iouCurve ?? [], try f.doubles("\(name)/iou_curve"))
    expect("IoU of boxes over thresholds", name, record.boxCurve ?? [], try f.doubles("\(name)/box_curve"))
    #expect(descendingOrder(map).map { Double($0) } == (try f.doubles("\(name)/order")), "\(name)")
    for steps in [7, 16] {
      let plan = PerturbationPlan(map: map, steps: steps)
      #expect(plan.counts.map { Double($0) } == (try f.doubles("\(name)/points\(steps)")), "\(name)")
    }
  }
}

@Test func metricsOfASetAgreeWithAnIndependentImplementation() throws {
  let f = try Fixture("metrics.safetensors")
  var records: [ImageRecord] = []
  for name in caseNames(f) {
    let (map, side, mask, box) = try load(name, f)
    guard side == 32 else { continue }
    var record = ImageRecord(imageID: 1, label: 1, predicted: 1, probability: 1)
    record.measure(map, side: side, mask: mask, box: box)
    records.append(record)
  }
  let summary = EvaluationSummary(records, validThreshold: nil, EvaluationContext())
  expect("MaxBoxAcc", "", [summary["max_box_acc"] ?? -1], [try number("set/max_box_acc", f)])
  expect("MaxBoxAccV2", "", [summary["max_box_acc_v2"] ?? -1], [try number("set/max_box_acc_v2", f)])
  expect("PxAP", "", [summary["pxap"] ?? -1], [try number("set/pxap", f)])
}

@Test func areasUnderCurvesAgreeWithAnIndependentImplementation() throws {
  let f = try Fixture("metrics.safetensors")
  let curves = f.names(below: "auc/curve")
  #expect(curves.count >= 3)
  for index in curves {
    let values = try f.doubles("auc/curve\(index)")
    let fractions = values.indices.map { Double($0) / Double(values.count - 1) }
    expect("area under a curve", index, [areaUnderCurve(values, at: fractions)], [try number("auc/area\(index)", f)])
  }
}

@Test func theBlurredSubstrateAgreesWithAnIndependentImplementation() throws {
  let f = try Fixture("metrics.safetensors")
  let side = try f.shape("blur/pixels")[0]
  let blurred = gaussianBlur(try f.floats("blur/pixels"), side: side, channels: 3, radius: 5, sigma: 5)
  let error = difference(blurred, try f.doubles("blur/expected"))
  noteDifference("blurred substrate", reference: "NumPy", error, limit: 1e-6)
  #expect(error < 1e-6)
}

@Test func spearmansCorrelationAgreesWithSciPyWithTiesAndWithout() throws {
  let f = try Fixture("correlation.safetensors")
  let pairs = Set(f.names.map { String($0.prefix { $0 != "/" }) }).sorted()
  #expect(pairs.count >= 6)
  for pair in pairs {
    let found = spearman(try f.floats("\(pair)/one"), try f.floats("\(pair)/other"))
    expect("Spearman's correlation", pair, [found ?? .infinity], [try number("\(pair)/spearman", f)])
  }
  #expect(spearman([1, 1, 1], [1, 2, 3]) == nil && spearman([1, 2, 3], [0, 0, 0]) == nil)
}
