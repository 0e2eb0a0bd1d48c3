import Failures

/// Segmentation masks: from files to grey levels, of which those above `data.mask_threshold` are foreground.

/// `data.mask_threshold` as long as it is not set.
public let standardMaskThreshold = 127

/// A mask's grey levels, 0 to 255.
///
/// - A grey file is taken as it is; of 16 bits, as it is where no level is above 255, else by the high byte.
/// - A colour file goes by Pillow's luminance, (19595 R + 38470 G + 7471 B + 2¹⁵) / 2¹⁶. Alpha is dropped.
/// - A palette file stands for labels: index 0 becomes 0, every other index 255. Only where its colours are all grey and
///   one that is used lies above the threshold is it a grey picture that a program has stored with a palette, and taken
///   by its colours. Colours count where a pixel uses them.
///
/// - Parameter threshold: `data.mask_threshold`.
/// - Throws: `Failure` 66 or 65.
public func decodeMask(path: String, threshold: Int) throws -> GrayImage {
  let file = try ImageFile(path: path)
  guard file.format == .png else {
    let image = try decodeJPEG(file)
    return GrayImage(width: image.width, height: image.height, pixels: luminance(image.pixels))
  }
  let image = try decodePNG(file, isRaw: true)
  let levels: [UInt8]
  if let palette = image.palette {
    levels = labels(image.pixels, palette: palette, threshold: threshold)
  } else {
    switch image.channels {
    case 1: levels = image.pixels
    case 2: levels = narrowed(image.pixels)
    default: levels = luminance(image.pixels)
    }
  }
  return GrayImage(width: image.width, height: image.height, pixels: levels)
}

private func luminance(_ pixels: [UInt8]) -> [UInt8] {
  (0..<(pixels.count / 3)).map { i in
    let (r, g, b) = (Int(pixels[3 * i]), Int(pixels[3 * i + 1]), Int(pixels[3 * i + 2]))
    return UInt8((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)
  }
}

/// 16-bit levels, high byte first, to 8 bits.
private func narrowed(_ bytes: [UInt8]) -> [UInt8] {
  let places = stride(from: 0, to: bytes.count, by: 2)
  let isNarrow = places.allSatisfy { bytes[$0] == 0 }
  return places.map { bytes[isNarrow ? $0 + 1 : $0] }
}

private func labels(_ indices: [UInt8], palette: [UInt8], threshold: Int) -> [UInt8] {
  var isUsed = [Bool](repeating: false, count: 256)
  for index in indices { isUsed[Int(index)] = true }
  // An index behind the palette's end is black.
  let colours = palette + [UInt8](repeating: 0, count: max(0, 3 * 256 - palette.count))
  let used = isUsed.indices.filter { isUsed[$0] }
  let isGrey = used.allSatisfy { colours[3 * $0] == colours[3 * $0 + 1] && colours[3 * $0] == colours[3 * $0 + 2] }
  let isPicture = isGrey && used.contains { Int(colours[3 * $0]) > threshold }
  return indices.map { isPicture ? colours[3 * Int($0)] : $0 == 0 ? 0 : 255 }
}
