/// Explanation maps at the image's size (docs/model.md, "Metrics").

/// A map [g, g] enlarged to [side, side]: bilinear, half-pixel centres, edges clamped, as a + w(b − a).
public func upsampleBilinear(_ map: [Float], grid g: Int, to side: Int) -> [Float] {
  precondition(map.count == g * g)
  let taps = (0..<side).map { target -> (low: Int, high: Int, weight: Float) in
    let position = max((Double(target) + 0.5) * Double(g) / Double(side) - 0.5, 0)
    let low = min(Int(position), g - 1)
    return (low, min(low + 1, g - 1), Float(position - Double(low)))
  }
  var result = [Float](repeating: 0, count: side * side)
  for (y, vertical) in taps.enumerated() {
    for (x, horizontal) in taps.enumerated() {
      func along(_ row: Int) -> Float {
        let a = map[row * g + horizontal.low]
        return a + horizontal.weight * (map[row * g + horizontal.high] - a)
      }
      let top = along(vertical.low)
      result[y * side + x] = top + vertical.weight * (along(vertical.high) - top)
    }
  }
  return result
}

/// (map − min)/(max − min); a constant map becomes zero everywhere.
public func normalised(_ map: [Float]) -> [Float] {
  guard let low = map.min(), let high = map.max(), high > low else { return map.map { _ in 0 } }
  let range = high - low
  return map.map { ($0 - low) / range }
}

/// A map [own, own] at the image's size: as it is where that is its own.
public func enlarged(_ map: [Float], side own: Int, to side: Int) -> [Float] {
  own == side ? map : upsampleBilinear(map, grid: own, to: side)
}
