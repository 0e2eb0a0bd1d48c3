/// Antialiased bicubic resizing of 8-bit RGB, to the byte as Pillow's `resize(BICUBIC)`: a horizontal and a
/// vertical pass in fixed point, each rounded and clipped to 8 bits (reference: Pillow's documented filter, a = −0.5).

/// For one output position: which inputs, and their weights in units of 2⁻²².
private struct Taps {
  let first: Int
  let weights: [Int32]
}

private let fractionBits: Int32 = 22

private func taps(from: Int, to: Int, range: Range<Int>) -> [Taps] {
  let scale = Double(from) / Double(to)
  let stretch = max(scale, 1)
  let support = 2 * stretch
  return range.map { target in
    let centre = (Double(target) + 0.5) * scale
    let first = max(Int(centre - support + 0.5), 0)
    let last = min(Int(centre + support + 0.5), from)
    let weights = (first..<last).map { cubic((Double($0) - centre + 0.5) * (1 / stretch)) }
    let share = 1 / weights.reduce(0, +)
    let unit = Double(1 << fractionBits)
    return Taps(
      first: first,
      weights: weights.map { weight in
        let scaled = weight * share * unit
        return Int32(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
      })
  }
}

/// Keys' cubic with a = −0.5.
private func cubic(_ x: Double) -> Double {
  let a = -0.5
  let t = abs(x)
  if t < 1 { return ((a + 2) * t - (a + 3)) * t * t + 1 }
  if t < 2 { return (((t - 5) * t + 8) * t - 4) * a }
  return 0
}

@inline(__always)
private func clip(_ sum: Int32) -> UInt8 { UInt8(clamping: sum >> fractionBits) }

/// The part `rows` × `columns` of the image resized to width × height; all of it gives the whole resized image.
public func resizeBicubic(
  _ image: RGBImage, width: Int, height: Int, columns: Range<Int>? = nil, rows: Range<Int>? = nil
) -> RGBImage {
  let columns = columns ?? 0..<width
  let rows = rows ?? 0..<height
  let horizontal = taps(from: image.width, to: width, range: columns)
  let vertical = taps(from: image.height, to: height, range: rows)
  let firstRow = vertical.map(\.first).min() ?? 0
  let lastRow = vertical.map { $0.first + $0.weights.count }.max() ?? 0
  let stride = columns.count * 3
  let half: Int32 = 1 << (fractionBits - 1)
  // Pillow leaves a pass out where the size does not change.
  let keepsColumns = width == image.width
  let keepsRows = height == image.height

  var middle = [UInt8](repeating: 0, count: (lastRow - firstRow) * stride)
  image.pixels.withUnsafeBufferPointer { source in
    middle.withUnsafeMutableBufferPointer { target in
      for row in firstRow..<lastRow {
        for (index, tap) in horizontal.enumerated() {
          let out = (row - firstRow) * stride + index * 3
          if keepsColumns {
            let from = (row * image.width + columns.lowerBound + index) * 3
            for c in 0..<3 { target[out + c] = source[from + c] }
            continue
          }
          var (r, g, b) = (half, half, half)
          var from = (row * image.width + tap.first) * 3
          for weight in tap.weights {
            r &+= Int32(source[from]) &* weight
            g &+= Int32(source[from + 1]) &* weight
            b &+= Int32(source[from + 2]) &* weight
            from += 3
          }
          target[out] = clip(r)
          target[out + 1] = clip(g)
          target[out + 2] = clip(b)
        }
      }
    }
  }

  var result = [UInt8](repeating: 0, count: rows.count * stride)
  var sums = [Int32](repeating: 0, count: stride)
  middle.withUnsafeBufferPointer { source in
    result.withUnsafeMutableBufferPointer { target in
      sums.withUnsafeMutableBufferPointer { sums in
        for (index, tap) in vertical.enumerated() {
          if keepsRows {
            let from = (rows.lowerBound + index - firstRow) * stride
            for i in 0..<stride { target[index * stride + i] = source[from + i] }
            continue
          }
          for i in 0..<stride { sums[i] = half }
          for (k, weight) in tap.weights.enumerated() {
            let from = (tap.first + k - firstRow) * stride
            for i in 0..<stride { sums[i] &+= Int32(source[from + i]) &* weight }
          }
          for i in 0..<stride { target[index * stride + i] = clip(sums[i]) }
        }
      }
    }
  }
  return RGBImage(width: columns.count, height: rows.count, pixels: result)
}
