import Foundation
import Randomness
import Tensor

/// The pixels of one image that teach its decoder, in a sample's memory: at most a window of each class.
package struct SeededPixels: @unchecked Sendable {
  /// How many, then pairs of a pixel's index and its label (0 background, 1 foreground), as whole numbers in floats.
  private let memory: Floats

  /// The floats that they take at most.
  ///
  /// - Parameter window: the side of a seed.
  package static func count(window: Int) -> Int { 1 + 2 * 2 * window * window }

  package init(_ memory: Floats) { self.memory = memory }

  package var count: Int { Int(memory[0]) }

  package func clear() { memory[0] = 0 }

  package func append(_ pixel: Int, label: Int) {
    let place = 1 + 2 * count
    // A float holds every index up to 2²⁴, the pixels of a side of 4096.
    memory[place] = Float(pixel)
    memory[place + 1] = Float(label)
    memory[0] += 1
  }

  @inline(__always)
  package func forEach(_ body: (_ pixel: Int, _ label: Int) -> Void) {
    for index in 0..<count { body(Int(memory[1 + 2 * index]), Int(memory[2 + 2 * index])) }
  }
}

/// Draws an image's seeds from its class activation map (docs/model.md, "F-CAM"): one pixel of the region above Otsu's
/// threshold, eroded, and one of the lowest share of all pixels, each grown to a window.
package struct SeedSampler: Sendable {
  let options: FCAMOptions
  /// S.
  let side: Int

  package init(options: FCAMOptions, side: Int) {
    self.options = options
    self.side = side
  }

  private var pixels: Int { side * side }

  /// The floats of scratch of `draw`: the enlarged map, a region, and room to erode it.
  package var scratchCount: Int { 3 * pixels }

  /// - Parameters:
  ///   - map: [g, g], of the true class, at any scale; values that are not finite count as its lowest.
  ///   - stream: two draws: foreground, then background.
  package func draw(_ seeds: SeededPixels, map: ConstFloats, grid g: Int, stream: RandomStream, scratch: Floats) {
    var stream = stream
    seeds.clear()
    let enlarged = scratch
    let region = enlarged + pixels
    let room = region + pixels
    guard enlarge(enlarged, map, grid: g, scratch: room) else { return }
    guard markAboveOtsu(region, enlarged) else { return }
    erode(region, scratch: room)
    let foreground = pick(region, &stream)
    markLowest(region, enlarged)
    let background = pick(region, &stream)
    add(foreground, label: 1, to: seeds, unless: background)
    add(background, label: 0, to: seeds, unless: foreground)
  }

  /// The map between 0 and 1, then enlarged; false where it is constant.
  private func enlarge(_ target: Floats, _ map: ConstFloats, grid g: Int, scratch: Floats) -> Bool {
    var (low, high) = (Float.infinity, -Float.infinity)
    for cell in 0..<(g * g) where map[cell].isFinite { (low, high) = (min(low, map[cell]), max(high, map[cell])) }
    guard low < high, (high - low).isFinite else { return false }
    for cell in 0..<(g * g) { scratch[cell] = map[cell].isFinite ? (map[cell] - low) / (high - low) : 0 }
    enlargeBilinear(target, scratch, grid: g, side: side)
    return true
  }

  /// Marks the pixels above Otsu's threshold of the map's 8-bit levels; false where all have one level.
  private func markAboveOtsu(_ region: Floats, _ map: ConstFloats) -> Bool {
    withUnsafeTemporaryAllocation(of: Int.self, capacity: 256) { histogram in
      histogram.initialize(repeating: 0)
      for pixel in 0..<pixels { histogram[Int(map[pixel] * 255)] += 1 }
      guard !histogram.contains(pixels) else { return false }
      let threshold = min(max(otsuThreshold(UnsafeBufferPointer(histogram)), 1), 254)
      for pixel in 0..<pixels { region[pixel] = Int(map[pixel] * 255) > threshold ? 1 : 0 }
      return true
    }
  }

  /// Erodes the region by a square of ones, beyond the border of which everything counts as inside; keeps it as it was
  /// where nothing would be left.
  private func erode(_ region: Floats, scratch: Floats) {
    let reach = options.erosion / 2
    guard reach > 0 else { return }
    // Along rows, then along columns: a pixel stays where no zero is in reach.
    let eroded = scratch
    for row in 0..<side { keepFarFromZeros(eroded + row * side, region + row * side, step: 1, reach: reach) }
    for column in 0..<side { keepFarFromZeros(eroded + column, eroded + column, step: side, reach: reach) }
    if (0..<pixels).contains(where: { eroded[$0] != 0 }) { copy(region, eroded, pixels) }
  }

  /// y[i] = 1 where x is 1 everywhere within reach of i on a line; y may be x.
  private func keepFarFromZeros(_ y: Floats, _ x: ConstFloats, step: Int, reach: Int) {
    // The last zero before, and the next one: x is read `reach` ahead of where y is written.
    var lastZero = -reach - 1
    for ahead in 0..<min(reach, side) where x[ahead * step] == 0 { lastZero = ahead }
    for i in 0..<side {
      if i + reach < side, x[(i + reach) * step] == 0 { lastZero = i + reach }
      y[i * step] = lastZero < i - reach ? 1 : 0
    }
  }

  /// Marks the lowest share of the map, the first in row-major order among equals.
  private func markLowest(_ region: Floats, _ map: ConstFloats) {
    let wanted = Int(options.backgroundShare * Double(pixels))
    clear(region, pixels)
    guard wanted > 0 else { return }
    // Values are in 0…1, where floats have the order of their bits: the wanted-th by halving the range of these.
    var (low, high) = (UInt32(0), Float(2).bitPattern)
    while low < high {
      let middle = low + (high - low) / 2
      var count = 0
      for pixel in 0..<pixels where map[pixel].bitPattern <= middle { count += 1 }
      if count >= wanted { high = middle } else { low = middle + 1 }
    }
    var left = wanted
    for pixel in 0..<pixels where map[pixel].bitPattern < low {
      region[pixel] = 1
      left -= 1
    }
    for pixel in 0..<pixels where map[pixel].bitPattern == low && left > 0 {
      region[pixel] = 1
      left -= 1
    }
  }

  /// One of the marked pixels, each as likely; nil where there is none, and a draw all the same.
  private func pick(_ region: ConstFloats, _ stream: inout RandomStream) -> Int? {
    var count = 0
    for pixel in 0..<pixels where region[pixel] != 0 { count += 1 }
    let share = stream.uniform()
    guard count > 0 else { return nil }
    var left = min(Int(share * Double(count)), count - 1)
    for pixel in 0..<pixels where region[pixel] != 0 {
      if left == 0 { return pixel }
      left -= 1
    }
    return nil
  }

  /// The window around a pixel, without what is in the other's too.
  private func add(_ centre: Int?, label: Int, to seeds: SeededPixels, unless other: Int?) {
    guard let centre else { return }
    let reach = options.dilation / 2
    let (row, column) = centre.quotientAndRemainder(dividingBy: side)
    for r in max(row - reach, 0)...min(row + reach, side - 1) {
      for c in max(column - reach, 0)...min(column + reach, side - 1) {
        if let other, abs(other / side - r) <= reach, abs(other % side - c) <= reach { continue }
        seeds.append(r * side + c, label: label)
      }
    }
  }
}

/// Otsu's threshold: the level up to which one class reaches so that the variance between both is largest; the first
/// among equals. Of a histogram with at least two levels.
func otsuThreshold(_ histogram: UnsafeBufferPointer<Int>) -> Int {
  let total = Double(histogram.reduce(0, +))
  let sum = histogram.enumerated().reduce(0.0) { $0 + Double($1.offset * $1.element) }
  var (below, sumBelow, best, threshold) = (0.0, 0.0, -1.0, 0)
  for level in 0..<(histogram.count - 1) {
    below += Double(histogram[level])
    sumBelow += Double(level * histogram[level])
    guard below > 0, below < total else { continue }
    let difference = sumBelow / below - (sum - sumBelow) / (total - below)
    let variance = below * (total - below) * difference * difference
    if variance > best { (best, threshold) = (variance, level) }
  }
  return threshold
}
