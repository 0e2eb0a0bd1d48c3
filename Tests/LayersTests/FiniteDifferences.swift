import Layers

/// Where the tests' tensors belong.
let group = ParameterGroup("tests")

/// Central differences in double precision: what every backward pass is held against.
///
/// - Parameters:
///   - f: the operation, written out in double.
///   - dy: the upstream gradient; the result is the gradient of Σ dy·f(x).
func finiteDifferences(_ x: [Double], _ dy: [Double], _ f: ([Double]) -> [Double]) -> [Double] {
  let step = 1e-5
  return x.indices.map { index in
    var (up, down) = (x, x)
    up[index] += step
    down[index] -= step
    return zip(zip(f(up), f(down)), dy).reduce(0) { $0 + ($1.0.0 - $1.0.1) / (2 * step) * $1.1 }
  }
}

/// Repeatable values in (-1, 1).
func values(_ count: Int, seed: Int) -> [Float] {
  (0..<count).map { index in
    let x = Double((index + 1) * 7919 + seed * 104_729) * 0.618_033_988_749
    return Float((x - x.rounded(.down)) * 2 - 1)
  }
}

func doubles(_ values: [Float]) -> [Double] { values.map { Double($0) } }
