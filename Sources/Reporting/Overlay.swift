import Images

/// Pictures of explanation maps over views.

/// A map value in [0, 1] as a colour: dark blue, violet, orange, pale yellow; lightness rises all the way.
public func heatColour(_ value: Float) -> SIMD3<Float> {
  let stops: [SIMD3<Float>] = [
    SIMD3(10, 10, 60), SIMD3(90, 20, 130), SIMD3(190, 50, 100), SIMD3(245, 130, 40), SIMD3(255, 245, 170),
  ]
  let position = min(max(value, 0), 1) * Float(stops.count - 1)
  let index = min(Int(position), stops.count - 2)
  return stops[index] + (stops[index + 1] - stops[index]) * (position - Float(index))
}

/// A view with a map laid over it: the more a pixel matters, the more its colour is the map's.
///
/// - Parameters:
///   - map: [side, side] in [0, 1].
///   - mask: [side, side]; its outline is drawn white, where given.
public func overlay(_ view: RGBImage, map: [Float], mask: [Bool]? = nil) -> RGBImage {
  var result = view
  let side = view.width
  for index in map.indices {
    let colour = heatColour(map[index])
    let share = 0.25 + 0.45 * min(max(map[index], 0), 1)
    for channel in 0..<3 {
      let mixed = Float(view.pixels[3 * index + channel]) * (1 - share) + colour[channel] * share
      result.pixels[3 * index + channel] = UInt8(min(max(mixed, 0), 255))
    }
  }
  guard let mask else { return result }
  for index in mask.indices where mask[index] {
    let (y, x) = index.quotientAndRemainder(dividingBy: side)
    let isEdge = x == 0 || y == 0 || x == side - 1 || y == view.height - 1
      || !mask[index - 1] || !mask[index + 1] || !mask[index - side] || !mask[index + side]
    if isEdge {
      for channel in 0..<3 { result.pixels[3 * index + channel] = 255 }
    }
  }
  return result
}

/// Images of one size side by side, `columns` to a row, on white.
public func contactSheet(_ images: [RGBImage], columns: Int) -> RGBImage? {
  guard let first = images.first, columns > 0 else { return nil }
  let gap = 4
  let rows = (images.count + columns - 1) / columns
  let across = min(columns, images.count)
  let (width, height) = (across * (first.width + gap) + gap, rows * (first.height + gap) + gap)
  var pixels = [UInt8](repeating: 255, count: width * height * 3)
  for (index, image) in images.enumerated() {
    let (row, column) = index.quotientAndRemainder(dividingBy: columns)
    let (x0, y0) = (gap + column * (first.width + gap), gap + row * (first.height + gap))
    for y in 0..<min(first.height, image.height) {
      for x in 0..<(min(first.width, image.width) * 3) {
        pixels[((y0 + y) * width + x0) * 3 + x] = image.pixels[y * image.width * 3 + x]
      }
    }
  }
  return RGBImage(width: width, height: height, pixels: pixels)
}
