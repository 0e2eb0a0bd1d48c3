import Foundation
import Machine
import Randomness
import Tensor

/// Whether matrix products are right, alone and called from several threads at once: some builds of OpenBLAS share
/// their working memory between callers (OpenMathLib/OpenBLAS#1755, #2126).

/// The three products of a linear map, as `Tensor` has them; sizes are m rows, n outputs, k inputs.
public enum ProductForm: String, CaseIterable, Sendable {
  /// Y [m, n] = X [m, k]·Wᵀ (W [n, k])
  case forward
  /// dX [m, k] = dY [m, n]·W (W [n, k])
  case inputGradient
  /// dW [n, k] = dYᵀ·X (dY [m, n], X [m, k])
  case weightGradient
}

/// Writes a form's result from its two operands.
public typealias Product =
  @Sendable (
    _ form: ProductForm, _ result: Floats, _ a: ConstFloats, _ b: ConstFloats, _ m: Int, _ n: Int, _ k: Int
  ) -> Void

/// The product that the model uses with a library.
public func modelProduct(by library: ProductLibrary) -> Product {
  { form, result, a, b, m, n, k in
    switch form {
    case .forward: multiplyTransposed(result, a, b, m: m, n: n, k: k, by: library)
    case .inputGradient: multiply(result, a, b, m: m, n: n, k: k, by: library)
    case .weightGradient: multiplyOuter(result, a, b, m: m, n: n, k: k, beta: 0, by: library)
    }
  }
}

/// A product with its operands and its value by one thread.
private struct ProductCase: @unchecked Sendable {
  let form: ProductForm
  let (m, n, k): (Int, Int, Int)
  let a: Buffer
  let b: Buffer
  let alone: Buffer

  init(_ form: ProductForm, _ m: Int, _ n: Int, _ k: Int) {
    self.form = form
    (self.m, self.n, self.k) = (m, n, k)
    a = Buffer(form == .forward ? m * k : m * n)
    b = Buffer(form == .weightGradient ? m * k : n * k)
    alone = Buffer(form == .forward ? m * n : form == .inputGradient ? m * k : n * k)
    var stream = RandomStream(seed: 0, name: "doctor.\(name)")
    for buffer in [a, b] {
      for i in 0..<buffer.count { buffer.base[i] = Float(stream.uniform(-1, 1)) }
    }
  }

  var name: String { "\(form.rawValue) \(m)x\(n)x\(k)" }

  /// Whether `alone` is within the rounding of any order of summation: depth·2⁻²⁴·Σ|a·b|, for each element.
  func isRight() -> Bool {
    // Element (i, j) is the sum over d of a[i·aRow + d·aStep]·b[j·bRow + d·bStep].
    let (rows, columns, depth) =
      form == .forward ? (m, n, k) : form == .inputGradient ? (m, k, n) : (n, k, m)
    let (aRow, aStep) = form == .weightGradient ? (1, n) : (depth, 1)
    let (bRow, bStep) = form == .forward ? (k, 1) : (1, k)
    for i in 0..<rows {
      for j in 0..<columns {
        var sum = 0.0
        var size = 0.0
        for d in 0..<depth {
          let term = Double(a.base[i * aRow + d * aStep]) * Double(b.base[j * bRow + d * bStep])
          sum += term
          size += abs(term)
        }
        let error = abs(Double(alone.base[i * columns + j]) - sum)
        // A NaN is no smaller than anything.
        guard error <= Double(depth + 2) * 0x1p-24 * size else { return false }
      }
    }
    return true
  }
}

public struct ProductTestResult: Sendable {
  public let products: Int
  public let threads: Int
  /// Shapes that are wrong when nothing else runs.
  public let wrongAlone: [String]
  /// Shapes whose bits were others among several threads, and how often.
  public let wrongTogether: [(name: String, count: Int)]
}

/// Multiplies many shapes alone, compares with a slow reference in double precision, then again from `threads` threads
/// at once for `seconds`, and compares the bits.
public func testProducts(_ product: Product, threads: Int, seconds: Double = 0.5) -> ProductTestResult {
  // One row against a long vector is the shape of #1755; 197 rows are a ViT-B/16's tokens; odd sizes leave tails.
  let sizes = [
    (1, 128, 3000), (3, 5, 7), (17, 33, 65), (49, 96, 27), (64, 64, 64), (196, 60, 48), (197, 192, 192), (197, 197, 64),
  ]
  let cases = sizes.flatMap { m, n, k in ProductForm.allCases.map { ProductCase($0, m, n, k) } }
  for item in cases { product(item.form, item.alone.base, item.a.base, item.b.base, item.m, item.n, item.k) }
  let wrongAlone = cases.filter { !$0.isRight() }.map(\.name)

  let team = ThreadTeam(threads: threads)
  let largest = cases.map(\.alone.count).max() ?? 0
  let results = (0..<threads).map { _ in Buffer(largest) }
  let wrong = UnsafeMutableBufferPointer<Int>.allocate(capacity: threads * cases.count)
  wrong.initialize(repeating: 0)
  defer { wrong.deallocate() }
  let limit = Date().addingTimeInterval(seconds)
  var rounds = 0
  while rounds < 3 || Date() < limit {
    // Each thread goes through the shapes from another start, so that unlike ones meet.
    team.run(threads) { task, _ in
      for step in 0..<cases.count {
        let index = (step + task * 5 + rounds) % cases.count
        let item = cases[index]
        let result = results[task].base
        product(item.form, result, item.a.base, item.b.base, item.m, item.n, item.k)
        if memcmp(result, item.alone.base, item.alone.count * 4) != 0 { wrong[task * cases.count + index] += 1 }
      }
    }
    rounds += 1
  }
  let counts = cases.indices.map { index in
    (cases[index].name, (0..<threads).reduce(0) { $0 + wrong[$1 * cases.count + index] })
  }
  return ProductTestResult(
    products: rounds * threads * cases.count, threads: threads, wrongAlone: wrongAlone,
    wrongTogether: counts.filter { $0.1 > 0 })
}

/// The share of a row's elements whose bits change when twice as many rows stand in the product (docs/model.md,
/// "Lanes").
public func rowDependence(_ product: Product, rows: Int = 197, width: Int = 768) -> Double {
  let x = Buffer(2 * rows * width)
  let w = Buffer(width * width)
  let few = Buffer(rows * width)
  let many = Buffer(2 * rows * width)
  var stream = RandomStream(seed: 0, name: "doctor.rows")
  for buffer in [x, w] {
    for i in 0..<buffer.count { buffer.base[i] = Float(stream.bits()) * 0x1p-31 - 1 }
  }
  product(.forward, few.base, x.base, w.base, rows, width, width)
  product(.forward, many.base, x.base, w.base, 2 * rows, width, width)
  let differing = (0..<few.count).reduce(0) { $0 + (few.base[$1].bitPattern == many.base[$1].bitPattern ? 0 : 1) }
  return Double(differing) / Double(few.count)
}

/// One thread's rate in a block's products, in GFLOP/s: the best of several, after a first that warms up.
public func productRate() -> Double {
  let (m, n, k) = (197, 768, 768)
  let (x, w, y) = (Buffer(m * k), Buffer(n * k), Buffer(m * n))
  for buffer in [x, w] {
    for i in 0..<buffer.count { buffer.base[i] = Float(i % 13) - 6 }
  }
  // One product a sample: short enough to run undisturbed now and then where ranks take turns.
  let best = (0..<40).map { _ in
    let start = DispatchTime.now().uptimeNanoseconds
    multiplyTransposed(y.base, x.base, w.base, m: m, n: n, k: k)
    return Double(elapsedNanoseconds(since: start))
  }.dropFirst(4).min()
  return best.map { 2 * Double(m * n * k) / $0 } ?? 0
}
