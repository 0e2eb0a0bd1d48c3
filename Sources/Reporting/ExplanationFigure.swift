import Foundation
import Images

/// The figure of one explained image: the image, its map with a colour bar, both together with the contour of what is
/// above the threshold, and the likeliest classes.
public struct ExplanationFigure {
  public let image: RGBImage
  /// [height, width], as produced; nil where the model saw nothing.
  public let map: [Float?]
  /// Of the map as produced.
  public let threshold: Float
  public let title: String
  /// The likeliest first, with their probabilities.
  public let classes: [(name: String, probability: Double)]

  public init(
    image: RGBImage, map: [Float?], threshold: Float, title: String, classes: [(name: String, probability: Double)]
  ) {
    self.image = image
    self.map = map
    self.threshold = threshold
    self.title = title
    self.classes = classes
  }

  private static let panel = 300.0
  private static let gap = 14.0
  private static let barWidth = 14.0
  private static let barLabels = 52.0

  private var range: (low: Float, high: Float) {
    let values = map.compactMap { $0 }
    return (values.min() ?? 0, values.max() ?? 1)
  }

  /// The map min-max-normalised to [0, 1]; a constant one is 0.
  public var normalisedMap: [Float?] {
    let (low, high) = range
    return map.map { value in value.map { high > low ? ($0 - low) / (high - low) : 0 } }
  }

  /// The map in 8-bit grey at the image's size; black is its minimum, and where the model saw nothing.
  public var greyMap: GrayImage {
    GrayImage(
      width: image.width, height: image.height,
      pixels: normalisedMap.map { UInt8(((($0 ?? 0) * 255).rounded())) })
  }

  /// The overlay at the image's own size, with contour and colour bar.
  public func overlayPicture() throws -> RGBImage {
    let (width, height) = (Double(image.width), Double(image.height))
    let canvas = try Canvas(width: width + Self.gap + Self.barWidth + Self.barLabels, height: height)
    drawOverlay(canvas, x: 0, y: 0, scale: 1)
    drawColourBar(canvas, x: width + Self.gap, y: 6, height: height - 12)
    return try canvas.pixels(scale: 1)
  }

  /// The whole figure.
  public func picture() throws -> RGBImage {
    let scale = Self.panel / Double(max(image.width, image.height))
    let (width, height) = (Double(image.width) * scale, Double(image.height) * scale)
    let top = 34.0
    let rows = Double(classes.count) * 18
    let total = 3 * width + 4 * Self.gap + Self.barWidth + Self.barLabels + 8
    let canvas = try Canvas(width: total, height: top + height + 30 + rows + 14)
    canvas.text(title, at: Point(Self.gap, 22), size: 13, isBold: true)
    let places = (0..<3).map { Self.gap + Double($0) * (width + Self.gap) }
    canvas.image(image, x: places[0], y: top, width: width, height: height)
    canvas.image(
      heatImage(normalisedMap, width: image.width, height: image.height), x: places[1], y: top, width: width,
      height: height)
    drawOverlay(canvas, x: places[2], y: top, scale: scale)
    drawColourBar(canvas, x: places[2] + width + Self.gap, y: top, height: height)
    for (place, label) in zip(places, ["image", "map", String(format: "overlay; line at %.3g", threshold)]) {
      canvas.text(label, at: Point(place + width / 2, top + height + 16), .grey, anchor: .middle)
    }
    drawClasses(canvas, y: top + height + 44)
    return try canvas.pixels()
  }

  private func drawOverlay(_ canvas: Canvas, x: Double, y: Double, scale: Double) {
    let (width, height) = (Double(image.width) * scale, Double(image.height) * scale)
    canvas.image(overlay(image, map: normalisedMap), x: x, y: y, width: width, height: height)
    let weight = max(1.2, min(width, height) / 200)
    for (from, to) in contour(map, width: image.width, height: image.height, level: threshold) {
      canvas.polyline(
        [Point(x + from.x * scale, y + from.y * scale), Point(x + to.x * scale, y + to.y * scale)], .white,
        width: weight)
    }
  }

  private func drawColourBar(_ canvas: Canvas, x: Double, y: Double, height: Double) {
    let column = heatImage((0..<256).map { Float(255 - $0) / 255 }, width: 1, height: 256)
    canvas.image(column, x: x, y: y, width: Self.barWidth, height: height)
    let (low, high) = range
    for share in [0, 0.5, 1] {
      let value = Double(low) + (Double(high) - Double(low)) * share
      canvas.text(
        String(format: "%.3g", value),
        at: Point(x + Self.barWidth + 4, y + height * (1 - share) + (share == 1 ? 9 : share == 0 ? 0 : 4)),
        size: 10, .grey)
    }
  }

  private func drawClasses(_ canvas: Canvas, y: Double) {
    let names = classes.map { canvas.textWidth($0.name, size: 11) }.max() ?? 0
    let start = Self.gap + min(names, canvas.width * 0.5) + 10
    let room = canvas.width - start - 70
    for (index, entry) in classes.enumerated() {
      let line = y + Double(index) * 18
      canvas.text(entry.name, at: Point(start - 8, line), anchor: .end)
      canvas.rectangle(start, line - 9, max(room * entry.probability, 1), 11, fill: Chart.palette[0])
      canvas.text(
        String(format: "%.1f%%", 100 * entry.probability), at: Point(start + room * entry.probability + 6, line),
        size: 10.5, .grey)
    }
  }
}
