import Images
import Metrics

/// Pictures of explanation maps over images.

/// An image with a map laid over it: the more a pixel matters, the more its colour is the map's. Where the map is
/// missing or not finite, the image is grey.
///
/// - Parameter map: [height, width] in [0, 1].
public func overlay(_ image: RGBImage, map: [Float?]) -> RGBImage {
  var result = image
  for index in map.indices {
    let pixel = SIMD3<Float>(
      Float(image.pixels[3 * index]), Float(image.pixels[3 * index + 1]), Float(image.pixels[3 * index + 2]))
    let mixed: SIMD3<Float>
    if let value = map[index], value.isFinite {
      let share = 0.25 + 0.45 * min(max(value, 0), 1)
      mixed = pixel * (1 - share) + heatColour(value) * share
    } else {
      mixed = SIMD3(repeating: (pixel * SIMD3(0.299, 0.587, 0.114)).sum() * 0.6)
    }
    for channel in 0..<3 { result.pixels[3 * index + channel] = UInt8(min(max(mixed[channel], 0), 255)) }
  }
  return result
}

/// A view with a method's map [own, own] over it, enlarged and min-max-normalised, and a mask's outline in white.
///
/// - Parameter mask: [S, S] for a view of side S.
public func overlay(_ view: RGBImage, map: [Float], side own: Int, mask: [Bool]?) -> RGBImage {
  var result = overlay(view, map: normalised(enlarged(map, side: own, to: view.width)).map { $0 })
  guard let mask else { return result }
  let side = view.width
  for index in mask.indices where mask[index] {
    let (y, x) = index.quotientAndRemainder(dividingBy: side)
    let isEdge =
      x == 0 || y == 0 || x == side - 1 || y == view.height - 1
      || !mask[index - 1] || !mask[index + 1] || !mask[index - side] || !mask[index + side]
    if isEdge {
      for channel in 0..<3 { result.pixels[3 * index + channel] = 255 }
    }
  }
  return result
}

/// A map alone in its colours; black where it is missing.
public func heatImage(_ map: [Float?], width: Int, height: Int) -> RGBImage {
  var pixels = [UInt8](repeating: 0, count: width * height * 3)
  for index in map.indices {
    guard let value = map[index] else { continue }
    let colour = heatColour(value)
    for channel in 0..<3 { pixels[3 * index + channel] = UInt8(colour[channel]) }
  }
  return RGBImage(width: width, height: height, pixels: pixels)
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
