import Images

/// An explanation map where it belongs in its image: bilinear with half-pixel centres, at any resolution of the image,
/// and nothing where the model saw nothing. Values are made row by row, for photographs may be large.
public struct PlacedMap: Sendable {
  /// Pixels of the image, at this resolution.
  public let width: Int
  public let height: Int
  private let map: [Float]
  private let grid: Int
  private let geometry: ViewGeometry
  private let across: [Tap]
  private let down: [Tap]
  /// What of the image the model saw.
  public let columns: Range<Int>
  public let rows: Range<Int>

  /// The two grid cells that a position lies between, and how far from the first.
  private struct Tap {
    let low: Int
    let high: Int
    let weight: Float
  }

  /// - Parameters:
  ///   - map: [grid, grid], as produced.
  ///   - geometry: the view that the model saw.
  ///   - width, height: of the image.
  public init(_ map: [Float], grid: Int, geometry: ViewGeometry, width: Int, height: Int) {
    precondition(map.count == grid * grid)
    (self.map, self.grid, self.geometry, self.width, self.height) = (map, grid, geometry, width, height)
    (columns, across) = Self.taps(width, geometry.scaledWidth, geometry.cropX, geometry.side, grid)
    (rows, down) = Self.taps(height, geometry.scaledHeight, geometry.cropY, geometry.side, grid)
  }

  /// The same at another resolution of the image.
  public func scaled(width: Int, height: Int) -> PlacedMap {
    PlacedMap(map, grid: grid, geometry: geometry, width: width, height: height)
  }

  private static func taps(
    _ count: Int, _ scaled: Int, _ crop: Int, _ side: Int, _ grid: Int
  ) -> (seen: Range<Int>, taps: [Tap]) {
    var first: Int?
    var taps: [Tap] = []
    for position in 0..<count {
      let view = (Double(position) + 0.5) * Double(scaled) / Double(count) - Double(crop)
      guard view >= 0, view < Double(side) else { continue }
      first = first ?? position
      let place = max(view * Double(grid) / Double(side) - 0.5, 0)
      let low = min(Int(place), grid - 1)
      taps.append(Tap(low: low, high: min(low + 1, grid - 1), weight: Float(place - Double(low))))
    }
    let start = first ?? 0
    return (start..<(start + taps.count), taps)
  }

  /// The values of a row that was seen, for `columns`.
  public func row(_ y: Int) -> [Float] {
    let vertical = down[y - rows.lowerBound]
    // Along the grid's two rows, as the map is: first across, then down.
    let (top, bottom) = (vertical.low * grid, vertical.high * grid)
    return map.withUnsafeBufferPointer { map in
      [Float](unsafeUninitializedCapacity: across.count) { target, count in
        for (index, tap) in across.enumerated() {
          let a = map[top + tap.low] + tap.weight * (map[top + tap.high] - map[top + tap.low])
          let b = map[bottom + tap.low] + tap.weight * (map[bottom + tap.high] - map[bottom + tap.low])
          target[index] = a + vertical.weight * (b - a)
        }
        count = across.count
      }
    }
  }

  /// All values [height, width] of some rows; nil where the model saw nothing.
  public func values(_ part: Range<Int>) -> [Float?] {
    var result = [Float?](repeating: nil, count: part.count * width)
    for y in part where rows.contains(y) {
      let start = (y - part.lowerBound) * width + columns.lowerBound
      for (index, value) in row(y).enumerated() { result[start + index] = value }
    }
    return result
  }

  /// The least and the greatest value; 0 and 1 where nothing was seen.
  public var range: (low: Float, high: Float) {
    var (low, high) = (Float.infinity, -Float.infinity)
    for y in rows {
      for value in row(y) { (low, high) = (min(low, value), max(high, value)) }
    }
    return low <= high ? (low, high) : (0, 1)
  }

  /// mean + population standard deviation of what was seen.
  public var meanStdThreshold: Float {
    let n = Double(rows.count * columns.count)
    var sum = 0.0
    for y in rows { for value in row(y) { sum += Double(value) } }
    let mean = sum / n
    var squares = 0.0
    for y in rows { for value in row(y) { squares += (Double(value) - mean) * (Double(value) - mean) } }
    return Float(mean + (squares / n).squareRoot())
  }
}
