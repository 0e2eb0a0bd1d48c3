import Images

/// An explanation map where it belongs in its image: bilinear with half-pixel centres, at any resolution of the image,
/// and nothing where the model saw nothing. Values are made row by row, for photographs may be large.
public struct PlacedMap: Sendable {
  /// Pixels of the image, at this resolution.
  public let width: Int
  public let height: Int
  private let map: [Float]
  private let side: Int
  private let geometry: ViewGeometry
  private let across: [Tap]
  private let down: [Tap]
  /// What of the image the model saw.
  public let columns: Range<Int>
  public let rows: Range<Int>

  /// The two cells of the map that a position lies between, and how far from the first.
  private struct Tap {
    let low: Int
    let high: Int
    let weight: Float
  }

  /// - Parameters:
  ///   - map: [side, side], as produced.
  ///   - geometry: the view that the model saw.
  ///   - width, height: of the image.
  public init(_ map: [Float], side: Int, geometry: ViewGeometry, width: Int, height: Int) {
    precondition(map.count == side * side)
    (self.map, self.side, self.geometry, self.width, self.height) = (map, side, geometry, width, height)
    (columns, across) = Self.taps(width, geometry.scaledWidth, geometry.cropX, geometry.side, side)
    (rows, down) = Self.taps(height, geometry.scaledHeight, geometry.cropY, geometry.side, side)
  }

  /// The same at another resolution of the image.
  public func scaled(width: Int, height: Int) -> PlacedMap {
    PlacedMap(map, side: side, geometry: geometry, width: width, height: height)
  }

  private static func taps(
    _ count: Int, _ scaled: Int, _ crop: Int, _ view: Int, _ side: Int
  ) -> (seen: Range<Int>, taps: [Tap]) {
    var first: Int?
    var taps: [Tap] = []
    for position in 0..<count {
      let place = (Double(position) + 0.5) * Double(scaled) / Double(count) - Double(crop)
      guard place >= 0, place < Double(view) else { continue }
      first = first ?? position
      let cell = max(place * Double(side) / Double(view) - 0.5, 0)
      let low = min(Int(cell), side - 1)
      taps.append(Tap(low: low, high: min(low + 1, side - 1), weight: Float(cell - Double(low))))
    }
    let start = first ?? 0
    return (start..<(start + taps.count), taps)
  }

  /// The values of a row that was seen, for `columns`.
  public func row(_ y: Int) -> [Float] {
    let vertical = down[y - rows.lowerBound]
    // Along the map's two rows, as the map is: first across, then down.
    let (top, bottom) = (vertical.low * side, vertical.high * side)
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
