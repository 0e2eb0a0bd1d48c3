/// The map that the authors' earlier protocol (docs/model.md, "The authors' earlier protocol") thresholds: smoothed by
/// a Gaussian of σ 1 after the threshold, mean + standard deviation, has been taken from the unsmoothed one.

/// IoU of {smoothed map > mean + sd of the map} with a mask.
public func labIntersectionOverUnion(_ map: [Float], side: Int, _ mask: [Bool]) -> Double {
  intersectionOverUnion(smoothed(map, side: side), above: meanStdThreshold(map), mask)
}

/// A Gaussian of σ 1 pixel, cut at 4σ, borders mirrored (d c b a | a b c d).
private func smoothed(_ map: [Float], side: Int) -> [Float] {
  let radius = 4
  let taps = gaussianTaps(radius: radius, sigma: 1)
  func mirrored(_ place: Int) -> Int {
    let period = 2 * side
    let wrapped = ((place % period) + period) % period
    return wrapped < side ? wrapped : period - 1 - wrapped
  }
  let reach = (0..<side).map { place in (-radius...radius).map { mirrored(place + $0) } }
  var rows = map
  for y in 0..<side {
    for x in 0..<side {
      rows[y * side + x] = zip(taps, reach[x]).reduce(0) { $0 + $1.0 * map[y * side + $1.1] }
    }
  }
  var result = map
  for y in 0..<side {
    for x in 0..<side {
      result[y * side + x] = zip(taps, reach[y]).reduce(0) { $0 + $1.0 * rows[$1.1 * side + x] }
    }
  }
  return result
}
