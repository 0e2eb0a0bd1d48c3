/// y [side, side] = x [g, g] enlarged: bilinear, half-pixel centres, edges clamped, as a + w(b − a).
public func enlargeBilinear(_ y: Floats, _ x: ConstFloats, grid g: Int, side: Int) {
  @inline(__always)
  func tap(_ target: Int) -> (low: Int, high: Int, weight: Float) {
    let position = max((Double(target) + 0.5) * Double(g) / Double(side) - 0.5, 0)
    let low = min(Int(position), g - 1)
    return (low, min(low + 1, g - 1), Float(position - Double(low)))
  }
  profiled(.elementwise) {
    for row in 0..<side {
      let vertical = tap(row)
      for column in 0..<side {
        let horizontal = tap(column)
        @inline(__always)
        func along(_ source: Int) -> Float {
          let a = x[source * g + horizontal.low]
          return a + horizontal.weight * (x[source * g + horizontal.high] - a)
        }
        let top = along(vertical.low)
        y[row * side + column] = top + vertical.weight * (along(vertical.high) - top)
      }
    }
  }
}
