import Foundation
import Images
import Reporting
import Testing

/// Charts of anything that a run can hold.

private func chart(_ series: [Chart.Series]) -> Chart {
  Chart(title: "IoU over thresholds", xLabel: "threshold", yLabel: "mean IoU", series: series)
}

/// How many pixels are about of a colour.
private func count(_ image: RGBImage, _ colour: Colour) -> Int {
  (0..<(image.width * image.height)).count { index in
    let pixel = image.pixels[(3 * index)..<(3 * index + 3)].map { Double($0) / 255 }
    return abs(pixel[0] - colour.red) + abs(pixel[1] - colour.green) + abs(pixel[2] - colour.blue) < 0.05
  }
}

@Test func aLineIsDrawnAsPixelsAndAsSVG() throws {
  let blue = Chart.palette[0]
  let canvas = try chart([Chart.Series("ALA", x: [0, 0.5, 1], y: [0.2, 0.6, 0.1], spread: [0.1, 0.1, 0.1], blue)])
    .canvas()
  #expect(count(try canvas.pixels(scale: 1), blue) > 300)
  let svg = try canvas.svg()
  #expect(svg.contains("<svg") && svg.contains("</svg>") && !svg.contains("http://example"))
  if let folder = ProcessInfo.processInfo.environment["ALA_PICTURES"] {
    try Data(encodePNG(canvas.pixels())).write(to: URL(fileURLWithPath: "\(folder)/chart.png"))
  }
}

@Test(
  arguments: [
    ([], []), ([1], [1]), ([0, 1, 2], [.nan, .nan, .nan]), ([0, 1, 2], [1, .infinity, 3]), ([0, 1], [5, 5]),
    ([0, 1, 2, 3], [1e-12, 2e-12, 3e-12, 1e-12]), ([0, 1e9], [-1e300, 1e300]),
  ] as [([Double], [Double])]) func aChartOfAwkwardValuesIsStillAChart(x: [Double], y: [Double]) throws
{
  let image = try chart([Chart.Series("odd", x: x, y: y, Chart.palette[1])]).canvas().pixels(scale: 1)
  #expect(image.width > 500 && image.height > 250)
}

@Test func equalChartsAreEqualDocumentsWhateverWasDrawnBefore() throws {
  func svg() throws -> String {
    try chart([Chart.Series("ALA", x: [0, 1], y: [0.2, 0.6], spread: [0.1, 0.1], Chart.palette[0])]).canvas().svg()
  }
  let first = try svg()
  _ = try chart([]).canvas().pixels(scale: 1)
  #expect(try svg() == first)
}
