import Foundation
import Images

/// Line charts: losses, IoU over thresholds, insertion and deletion.
public struct Chart: Sendable {
  /// One line, or the points alone where they are single; values that cannot be drawn break it.
  public struct Series: Sendable {
    public var name: String
    public var x: [Double]
    public var y: [Double]
    /// Half the height of a band around the line.
    public var spread: [Double]?
    public var colour: Colour
    public var isDashed: Bool
    public var isThin: Bool

    public init(
      _ name: String, x: [Double], y: [Double], spread: [Double]? = nil, _ colour: Colour, isDashed: Bool = false,
      isThin: Bool = false
    ) {
      self.name = name
      self.x = x
      self.y = y
      self.spread = spread
      self.colour = colour
      self.isDashed = isDashed
      self.isThin = isThin
    }
  }

  /// Okabe and Ito's colours, which people with any colour vision can tell apart.
  public static let palette = [0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xE69F00, 0x56B4E9].map { Colour(hex: $0) }

  public var title: String
  public var xLabel: String
  public var yLabel: String
  public var series: [Series]
  /// Fixed limits; nil fits the data.
  public var yRange: ClosedRange<Double>?
  public var caption = ""
  /// What stands at 0, 1, 2, … of the x-axis instead of numbers; none leaves the numbers.
  public var xNames: [String] = []

  public init(
    title: String, xLabel: String, yLabel: String, series: [Series], yRange: ClosedRange<Double>? = nil,
    caption: String = "", xNames: [String] = []
  ) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.series = series
    self.yRange = yRange
    self.caption = caption
    self.xNames = xNames
  }

  private static let width = 560.0
  private static let plotHeight = 260.0
  private static let left = 62.0
  private static let right = 16.0
  private static let legendRow = 16.0
  /// Room for a name below the x-axis, which reads upward.
  private static let nameLength = 70.0

  /// Draws the chart.
  public func canvas() throws -> Canvas {
    let rows = legendRows()
    let top = 30.0 + Double(rows.count) * Self.legendRow + 6
    let bottom = top + Self.plotHeight
    let foot = bottom + (xNames.isEmpty ? 0 : Self.nameLength - 12)
    let canvas = try Canvas(width: Self.width, height: foot + 46 + (caption.isEmpty ? 0 : 16))
    canvas.text(title, at: Point(Self.left, 20), size: 13, isBold: true)
    drawLegend(rows, canvas)
    let (xs, ys) = (range(\.x), yRange ?? range(\.y, padded: true))
    func place(_ x: Double, _ y: Double) -> Point {
      Point(
        Self.left + (x - xs.lowerBound) / (xs.upperBound - xs.lowerBound) * (Self.width - Self.left - Self.right),
        bottom - (y - ys.lowerBound) / (ys.upperBound - ys.lowerBound) * Self.plotHeight)
    }
    for tick in Self.ticks(ys) {
      canvas.polyline([place(xs.lowerBound, tick), place(xs.upperBound, tick)], .lightGrey, width: 0.8)
      canvas.text(Self.label(tick), at: Point(Self.left - 6, place(0, tick).y + 4), size: 10, .grey, anchor: .end)
    }
    for tick in xNames.isEmpty ? Self.ticks(xs) : xNames.indices.map({ Double($0) }) {
      let (x, y) = (place(tick, 0).x, bottom)
      canvas.polyline([Point(x, y), Point(x, y + 4)], .grey, width: 0.8)
      if xNames.isEmpty {
        canvas.text(Self.label(tick), at: Point(x, y + 16), size: 10, .grey, anchor: .middle)
      } else {
        canvas.text(xNames[Int(tick)], at: Point(x + 3, y + 7), size: 10, .grey, anchor: .end, isUpward: true)
      }
    }
    canvas.polyline([place(xs.lowerBound, ys.lowerBound), place(xs.upperBound, ys.lowerBound)], .grey, width: 1)
    canvas.text(xLabel, at: Point((Self.left + Self.width - Self.right) / 2, foot + 34), .grey, anchor: .middle)
    canvas.text(yLabel, at: Point(16, (top + bottom) / 2), .grey, anchor: .middle, isUpward: true)
    if !caption.isEmpty { canvas.text(caption, at: Point(Self.left, foot + 54), size: 9.5, .grey) }
    for one in series { draw(one, canvas, ys, place) }
    return canvas
  }

  private func draw(_ one: Series, _ canvas: Canvas, _ ys: ClosedRange<Double>, _ place: (Double, Double) -> Point) {
    func inside(_ y: Double) -> Double { min(max(y, ys.lowerBound), ys.upperBound) }
    for run in Self.finiteRuns(one) {
      if let spread = one.spread {
        let upper = run.map { place(one.x[$0], inside(one.y[$0] + spread[$0])) }
        let lower = run.reversed().map { place(one.x[$0], inside(one.y[$0] - spread[$0])) }
        canvas.polygon(upper + lower, fill: one.colour.withOpacity(0.15))
      }
      let points = run.map { place(one.x[$0], inside(one.y[$0])) }
      if points.count == 1 { canvas.dot(points[0], radius: 3, fill: one.colour) }
      canvas.polyline(
        points, one.isThin ? one.colour.withOpacity(0.45) : one.colour, width: one.isThin ? 0.8 : 2,
        dash: one.isDashed ? [6, 4] : [])
    }
  }

  /// Whether a value is finite, and differences of such are.
  private static func isDrawn(_ value: Double) -> Bool { value.magnitude < 1e100 }

  /// Ranges of indices whose values can be drawn.
  private static func finiteRuns(_ series: Series) -> [[Int]] {
    var runs: [[Int]] = [[]]
    for index in 0..<min(series.x.count, series.y.count) {
      if isDrawn(series.x[index]) && isDrawn(series.y[index]) {
        runs[runs.count - 1].append(index)
      } else if runs.last?.isEmpty == false {
        runs.append([])
      }
    }
    return runs.filter { !$0.isEmpty }
  }

  private func range(_ values: KeyPath<Series, [Double]>, padded: Bool = false) -> ClosedRange<Double> {
    var all = series.flatMap { $0[keyPath: values] }.filter(Self.isDrawn)
    if padded {
      for one in series {
        guard let spread = one.spread else { continue }
        all += zip(one.y, spread).flatMap { [$0 - $1, $0 + $1] }.filter(Self.isDrawn)
      }
    }
    guard let low = all.min(), let high = all.max() else { return 0...1 }
    // Beside a very large number a half is nothing.
    let half = max(0.5, low.magnitude * 1e-12)
    guard high > low else { return (low - half)...(high + half) }
    let room = padded ? (high - low) * 0.04 : 0
    return (low - room)...(high + room)
  }

  /// About five round numbers in a range.
  static func ticks(_ range: ClosedRange<Double>) -> [Double] {
    let span = range.upperBound - range.lowerBound
    let magnitude = pow(10, floor(log10(span / 5)))
    let step = [1.0, 2, 5, 10].map { $0 * magnitude }.first { span / $0 <= 6 } ?? magnitude * 10
    let first = (range.lowerBound / step - 1e-9).rounded(.up)
    let last = (range.upperBound / step + 1e-9).rounded(.down)
    guard first.isFinite, last.isFinite else { return [] }
    return stride(from: first, through: last, by: 1).map { $0 * step }
  }

  static func label(_ value: Double) -> String {
    let text = String(format: "%.6g", abs(value) < 1e-12 ? 0 : value)
    return text
  }

  // MARK: Legend

  /// Series whose names stand in one row, with their places: in columns, as many as the longest name leaves room for.
  private func legendRows() -> [[(series: Series, x: Double)]] {
    let named = series.filter { !$0.name.isEmpty }
    let length = 44 + 6 * Double(named.map(\.name.count).max() ?? 0)
    let columns = max(1, Int((Self.width - Self.right - Self.left) / length))
    return stride(from: 0, to: named.count, by: columns).map { start in
      named[start..<min(start + columns, named.count)].enumerated().map {
        ($0.element, Self.left + Double($0.offset) * length)
      }
    }
  }

  private func drawLegend(_ rows: [[(series: Series, x: Double)]], _ canvas: Canvas) {
    for (index, row) in rows.enumerated() {
      let y = 38 + Double(index) * Self.legendRow
      for (one, x) in row {
        canvas.polyline(
          [Point(x, y - 4), Point(x + 22, y - 4)], one.colour, width: 2, dash: one.isDashed ? [6, 4] : [])
        canvas.text(one.name, at: Point(x + 28, y), size: 10.5)
      }
    }
  }
}
