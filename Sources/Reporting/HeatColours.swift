import Foundation

/// The colour map of explanations: from dark violet through red to pale yellow. Neighbouring values differ by the same
/// perceived amount (equal steps in OKLab; Ottosson, "A perceptual color space for image processing", 2020), and
/// lightness rises all the way, so that it reads in grey as well.

/// A map value in [0, 1] as sRGB levels in [0, 255].
public func heatColour(_ value: Float) -> SIMD3<Float> {
  let position = value.isFinite ? min(max(value, 0), 1) * Float(table.count - 1) : 0
  return table[Int(position.rounded())]
}

private let table: [SIMD3<Float>] = {
  // The path is sampled finely, then cut into steps of equal length.
  let fine = (0...4096).map { path(Double($0) / 4096) }
  var lengths = [0.0]
  for (one, next) in zip(fine, fine.dropFirst()) {
    let step = next - one
    lengths.append((lengths.last ?? 0) + (step * step).sum().squareRoot())
  }
  let total = lengths.last ?? 1
  var index = 0
  return (0..<256).map { entry in
    let wanted = total * Double(entry) / 255
    while index < lengths.count - 2, lengths[index + 1] < wanted { index += 1 }
    let share = (wanted - lengths[index]) / max(lengths[index + 1] - lengths[index], 1e-12)
    return sRGB(fine[index] + (fine[index + 1] - fine[index]) * share)
  }
}()

/// A point (L, a, b) of OKLab.
private func path(_ t: Double) -> SIMD3<Double> {
  let lightness = 0.2 + 0.75 * t
  let hue = (290 + 170 * t) * Double.pi / 180
  let chroma = 0.06 + 0.12 * sin(Double.pi * pow(t, 0.8))
  return SIMD3(lightness, chroma * cos(hue), chroma * sin(hue))
}

/// OKLab's definition, from (L, a, b) to linear light, then sRGB's transfer curve; levels are cut to their range.
private func sRGB(_ lab: SIMD3<Double>) -> SIMD3<Float> {
  let l = pow(lab.x + 0.3963377774 * lab.y + 0.2158037573 * lab.z, 3)
  let m = pow(lab.x - 0.1055613458 * lab.y - 0.0638541728 * lab.z, 3)
  let s = pow(lab.x - 0.0894841775 * lab.y - 1.2914855480 * lab.z, 3)
  let linear = SIMD3(
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s, -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)
  var levels = SIMD3<Float>()
  for channel in 0..<3 {
    let value = min(max(linear[channel], 0), 1)
    let curved = value <= 0.0031308 ? 12.92 * value : 1.055 * pow(value, 1 / 2.4) - 0.055
    levels[channel] = Float(255 * curved)
  }
  return levels
}
