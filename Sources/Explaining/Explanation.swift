import Images

/// Where the model looked in one image, and what it took it for.
public struct Explanation: Sendable {
  public let path: String
  public let image: RGBImage
  /// The evaluation view's place in the image; beyond it the model saw nothing.
  public let geometry: ViewGeometry
  /// The method's map [side, side] as produced.
  public let map: [Float]
  public let side: Int
  /// p(ŷ) [C].
  public let probabilities: [Float]

  /// The map at the image's own size, bilinear with half-pixel centres; nil where the model saw nothing.
  public func mapAtSource() -> [Float?] {
    let (across, down) = (
      taps(image.width, geometry.scaledWidth, geometry.cropX), taps(image.height, geometry.scaledHeight, geometry.cropY)
    )
    var result = [Float?](repeating: nil, count: image.width * image.height)
    for (y, vertical) in down.enumerated() {
      guard let vertical else { continue }
      for (x, horizontal) in across.enumerated() {
        guard let horizontal else { continue }
        func along(_ row: Int) -> Float {
          let a = map[row * side + horizontal.low]
          return a + horizontal.weight * (map[row * side + horizontal.high] - a)
        }
        let top = along(vertical.low)
        result[y * image.width + x] = top + vertical.weight * (along(vertical.high) - top)
      }
    }
    return result
  }

  /// For each position of the image, the cells that it lies between.
  private func taps(_ count: Int, _ scaled: Int, _ crop: Int) -> [(low: Int, high: Int, weight: Float)?] {
    (0..<count).map { position in
      let view = (Double(position) + 0.5) * Double(scaled) / Double(count) - Double(crop)
      guard view >= 0, view < Double(geometry.side) else { return nil }
      let place = max(view * Double(side) / Double(geometry.side) - 0.5, 0)
      let low = min(Int(place), side - 1)
      return (low, min(low + 1, side - 1), Float(place - Double(low)))
    }
  }

  /// Class indices by descending probability, the first among equals first.
  public func likeliest(_ count: Int) -> [Int] {
    Array(probabilities.indices.sorted { (probabilities[$1], $0) < (probabilities[$0], $1) }.prefix(count))
  }
}
