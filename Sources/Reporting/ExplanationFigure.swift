import Files
import Foundation
import Images

/// The figure of one explained image: the image, its map with a colour bar, both together with the contour of what is
/// above the threshold, and the likeliest classes.
public struct ExplanationFigure {
  public let image: RGBImage
  /// As produced, at the image's resolution.
  public let map: PlacedMap
  /// Of the map as produced.
  public let threshold: Float
  public let title: String
  /// The likeliest first, with their probabilities.
  public let classes: [(name: String, probability: Double)]

  public init(
    image: RGBImage, map: PlacedMap, threshold: Float, title: String, classes: [(name: String, probability: Double)]
  ) {
    precondition(map.width == image.width && map.height == image.height)
    self.image = image
    self.map = map
    range = map.range
    self.threshold = threshold
    self.title = title
    self.classes = classes
  }

  private static let panel = 300.0
  private static let gap = 14.0
  private static let barWidth = 14.0
  private static let barLabels = 52.0

  /// Pixels of a panel's longer side beyond which an image is reduced first.
  private static let mostPanelPixels = 1200
  /// Rows of a picture at the image's own size that are in memory at a time.
  private static let bandRows = 256
  /// Columns of it that are drawn at a time: cairo takes no more than 32,767.
  private static let tileColumns = 8192

  /// Of the map at the image's resolution.
  private let range: (low: Float, high: Float)

  /// A value min-max-normalised to [0, 1]; 0 where the map is constant.
  private func normalised(_ value: Float) -> Float {
    range.high > range.low ? (value - range.low) / (range.high - range.low) : 0
  }

  /// Calls `body` with the image's rows, some at a time.
  private func forEachBand(_ body: (Range<Int>) throws -> Void) throws {
    for first in stride(from: 0, to: image.height, by: Self.bandRows) {
      try body(first..<min(first + Self.bandRows, image.height))
    }
  }

  /// Writes the map in 8-bit grey at the image's size, a PNG file; black is its minimum, and where the model saw
  /// nothing.
  public func writeGreyMap(to path: String) throws {
    try writeAtomically(to: path) { write in
      try withoutActuallyEscaping(write) { write in
        let file = try PNGRows(width: image.width, height: image.height, channels: 1, to: write)
        try forEachBand { rows in
          try file.write(map.values(rows).map { UInt8((($0.map(normalised) ?? 0) * 255).rounded()) })
        }
        try file.finish()
      }
    }
  }

  /// Writes the overlay at the image's own size, with contour and colour bar, a PNG file.
  public func writeOverlay(to path: String) throws {
    let (width, height) = (Double(image.width), Double(image.height))
    let total = Int(width + Self.gap + Self.barWidth + Self.barLabels)
    let weight = Self.lineWidth(width, height)
    let line = contour(map, level: threshold)
    try writeAtomically(to: path) { write in
      try withoutActuallyEscaping(write) { write in
        let file = try PNGRows(width: total, height: image.height, channels: 3, to: write)
        try forEachBand { rows in
          let band = RGBImage(
            width: image.width, height: rows.count,
            pixels: Array(image.pixels[(rows.lowerBound * image.width * 3)..<(rows.upperBound * image.width * 3)]))
          let picture = overlay(band, map: map.values(rows).map { $0.map(normalised) })
          let top = Double(rows.lowerBound)
          let near = (top - weight - 1)...(Double(rows.upperBound) + weight + 1)
          let nearLine = line.filter { near.contains($0.0.y) || near.contains($0.1.y) }
          let tiles = try stride(from: 0, to: total, by: Self.tileColumns).map { left in
            let columns = left..<min(left + Self.tileColumns, total)
            return try drawTile(columns, of: picture, contour: nearLine, weight: weight, top: top)
          }
          try file.write(sideBySide(tiles))
        }
        try file.finish()
      }
    }
  }

  /// Some columns of a band of the overlay, which shows `picture` and, right of it, the colour bar.
  ///
  /// - Parameter top: the band's first row in the whole overlay.
  private func drawTile(
    _ columns: Range<Int>, of picture: RGBImage, contour: [(Point, Point)], weight: Double, top: Double
  ) throws -> RGBImage {
    let canvas = try Canvas(width: Double(columns.count), height: Double(picture.height))
    let left = Double(columns.lowerBound)
    if let part = picture.columns(columns) {
      canvas.image(part, x: 0, y: 0, width: Double(part.width), height: Double(part.height))
    }
    let near = (left - weight - 1)...(Double(columns.upperBound) + weight + 1)
    for (from, to) in contour where near.contains(from.x) || near.contains(to.x) {
      canvas.polyline([Point(from.x - left, from.y - top), Point(to.x - left, to.y - top)], .white, width: weight)
    }
    drawColourBar(canvas, x: Double(image.width) + Self.gap - left, y: 6 - top, height: Double(image.height) - 12)
    return try canvas.pixels(scale: 1)
  }

  private static func lineWidth(_ width: Double, _ height: Double) -> Double { max(1.2, min(width, height) / 200) }

  /// The image and its normalised map for a panel: as they are, or reduced where they are large.
  private func panelPicture() -> (image: RGBImage, map: PlacedMap) {
    let longer = max(image.width, image.height)
    guard longer > Self.mostPanelPixels else { return (image, map) }
    let (width, height) = (
      max(image.width * Self.mostPanelPixels / longer, 1), max(image.height * Self.mostPanelPixels / longer, 1)
    )
    return (resizeBicubic(image, width: width, height: height), map.scaled(width: width, height: height))
  }

  /// The whole figure.
  public func picture() throws -> RGBImage {
    let (image, map) = panelPicture()
    let normalMap = map.values(0..<map.height).map { $0.map(normalised) }
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
      heatImage(normalMap, width: image.width, height: image.height), x: places[1], y: top, width: width,
      height: height)
    canvas.image(overlay(image, map: normalMap), x: places[2], y: top, width: width, height: height)
    for (from, to) in contour(map, level: threshold) {
      canvas.polyline(
        [
          Point(places[2] + from.x * scale, top + from.y * scale), Point(places[2] + to.x * scale, top + to.y * scale),
        ], .white, width: Self.lineWidth(width, height))
    }
    drawColourBar(canvas, x: places[2] + width + Self.gap, y: top, height: height)
    for (place, label) in zip(places, ["image", "map", String(format: "overlay; line at %.3g", threshold)]) {
      canvas.text(label, at: Point(place + width / 2, top + height + 16), .grey, anchor: .middle)
    }
    drawClasses(canvas, y: top + height + 44)
    return try canvas.pixels()
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
