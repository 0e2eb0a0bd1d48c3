/// The line around {map > level}, by marching squares with linear interpolation.

/// Segments in pixels, pixel centres at half-integers; nothing is drawn where a value is missing.
public func contour(_ map: [Float?], width: Int, height: Int, level: Float) -> [(Point, Point)] {
  guard width > 1, height > 1 else { return [] }
  var segments: [(Point, Point)] = []
  for y in 0..<(height - 1) {
    for x in 0..<(width - 1) {
      let first = y * width + x
      guard let a = map[first], let b = map[first + 1], let c = map[first + width + 1], let d = map[first + width]
      else { continue }
      guard (a > level) != (b > level) || (b > level) != (c > level) || (c > level) != (d > level) else { continue }
      let isIn = [a > level, b > level, c > level, d > level]
      let (px, py) = (Double(x) + 0.5, Double(y) + 0.5)
      func share(_ from: Float, _ to: Float) -> Double { Double((level - from) / (to - from)) }
      // Crossings of the square's edges: top, right, bottom, left.
      let edges: [Point?] = [
        isIn[0] != isIn[1] ? Point(px + share(a, b), py) : nil,
        isIn[1] != isIn[2] ? Point(px + 1, py + share(b, c)) : nil,
        isIn[3] != isIn[2] ? Point(px + share(d, c), py + 1) : nil,
        isIn[0] != isIn[3] ? Point(px, py + share(a, d)) : nil,
      ]
      let crossings = edges.compactMap { $0 }
      if crossings.count == 2 {
        segments.append((crossings[0], crossings[1]))
      } else if let top = edges[0], let right = edges[1], let bottom = edges[2], let left = edges[3] {
        // A saddle: its middle says which corners belong together.
        let middleIsIn = (a + b + c + d) / 4 > level
        segments += isIn[0] == middleIsIn ? [(top, right), (bottom, left)] : [(top, left), (right, bottom)]
      }
    }
  }
  return segments
}

/// The same of a map in its image, with only some rows in memory at a time.
func contour(_ map: PlacedMap, level: Float) -> [(Point, Point)] {
  let rowsAtOnce = 64
  var segments: [(Point, Point)] = []
  for first in stride(from: map.rows.lowerBound, to: map.rows.upperBound - 1, by: rowsAtOnce) {
    let part = first..<min(first + rowsAtOnce + 1, map.rows.upperBound)
    segments += contour(map.values(part), width: map.width, height: part.count, level: level).map { from, to in
      (Point(from.x, from.y + Double(first)), Point(to.x, to.y + Double(first)))
    }
  }
  return segments
}
