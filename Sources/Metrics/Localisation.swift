import Images

/// Localisation by boxes (docs/model.md, "Metrics"; Choe et al., "Evaluating weakly supervised object localization
/// methods right", CVPR 2020, from whose boxes ours differ as docs/model.md says: half-open pixels, 8-connected
/// components).

/// IoU of two half-open boxes.
public func intersectionOverUnion(_ one: Box, _ other: Box) -> Double {
  let width = min(one.x1, other.x1) - max(one.x0, other.x0)
  let height = min(one.y1, other.y1) - max(one.y0, other.y0)
  guard width > 0, height > 0 else { return 0 }
  let intersection = width * height
  let union = (one.x1 - one.x0) * (one.y1 - one.y0) + (other.x1 - other.x0) * (other.y1 - other.y0) - intersection
  return union > 0 ? intersection / union : 0
}

/// The box around the largest 8-connected component of {map > threshold}; the first in row-major order among
/// equals; nil where nothing is above.
public func largestComponentBox(_ map: [Float], side: Int, above threshold: Float) -> Box? {
  var finder = ComponentFinder(side: side)
  return finder.largest(map, above: threshold)
}

/// Finds components by flood fill, with its memory kept from one threshold to the next.
struct ComponentFinder {
  let side: Int
  private var isSeen: [Bool]
  private var stack: [Int32] = []

  init(side: Int) {
    self.side = side
    isSeen = [Bool](repeating: false, count: side * side)
  }

  mutating func largest(_ map: [Float], above threshold: Float) -> Box? {
    for index in isSeen.indices { isSeen[index] = !(map[index] > threshold) }
    var best: (size: Int, box: Box)?
    for start in isSeen.indices where !isSeen[start] {
      isSeen[start] = true
      stack.append(Int32(start))
      var size = 0
      var (x0, y0, x1, y1) = (side, side, 0, 0)
      while let index = stack.popLast() {
        let (y, x) = Int(index).quotientAndRemainder(dividingBy: side)
        size += 1
        (x0, y0, x1, y1) = (min(x0, x), min(y0, y), max(x1, x + 1), max(y1, y + 1))
        for ny in max(y - 1, 0)...min(y + 1, side - 1) {
          for nx in max(x - 1, 0)...min(x + 1, side - 1) where !isSeen[ny * side + nx] {
            isSeen[ny * side + nx] = true
            stack.append(Int32(ny * side + nx))
          }
        }
      }
      if size > best?.size ?? 0 {
        best = (size, Box(x0: Double(x0), y0: Double(y0), x1: Double(x1), y1: Double(y1)))
      }
    }
    return best?.box
  }
}

/// IoU of the largest component's box with the annotated box at each curve threshold; 0 where there is no component.
public func boxCurve(normalised map: [Float], side: Int, _ box: Box) -> [Double] {
  var finder = ComponentFinder(side: side)
  return curveThresholds.map { threshold in
    finder.largest(map, above: threshold).map { intersectionOverUnion($0, box) } ?? 0
  }
}

/// The largest share, over one threshold for the whole set, of images whose box IoU is at least `delta`.
public func maxBoxAccuracy(_ curves: [[Double]], delta: Double) -> Double {
  guard !curves.isEmpty else { return 0 }
  return curveThresholds.indices.map { index in
    Double(curves.count { $0[index] >= delta }) / Double(curves.count)
  }.max() ?? 0
}

/// Pixel-wise average precision: Σ P(τ)·ΔR(τ) with all images' pixels pooled, τ descending.
public func pixelAveragePrecision(_ counts: [ThresholdCounts]) -> Double {
  let foreground = counts.reduce(0) { $0 + $1.foreground }
  guard foreground > 0 else { return 0 }
  var area = 0.0
  var recall = 0.0
  for index in curveThresholds.indices.reversed() {
    let selected = counts.reduce(0) { $0 + $1.selected[index] }
    let hits = counts.reduce(0) { $0 + $1.hits[index] }
    let next = Double(hits) / Double(foreground)
    if selected > 0 { area += Double(hits) / Double(selected) * (next - recall) }
    recall = next
  }
  return area
}
