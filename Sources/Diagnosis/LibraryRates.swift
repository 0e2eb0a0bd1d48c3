import Foundation
import Tensor

/// How fast the linked libraries make a transformer block's products on this processor, to see whether the table of
/// `run.products: auto` is right of it.
package struct LibraryRates: Sendable {
  /// Of float32, in GFLOP/s, one thread; all take turns.
  package let rates: [ProductLibrary: Double]
  /// With frozen weights in bfloat16; nil where there is none.
  package let bfloat16: Double?

  package init(rates: [ProductLibrary: Double], bfloat16: Double? = nil) {
    self.rates = rates
    self.bfloat16 = bfloat16
  }

  /// What makes a block's products.
  private struct Maker: Hashable {
    let library: ProductLibrary
    /// Of maps that are frozen.
    let precision: Precision
  }

  /// A product of a frozen map, whose weight can be packed, or of two matrices that are made, and how often.
  private struct Shape {
    let m: Int
    let n: Int
    let k: Int
    let count: Double
    let isFrozen: Bool
  }

  /// Those of a ViT-B/16's block: q, k, v and out, fc1, fc2, and attention's scores.
  private static let shapes = [
    Shape(m: 197, n: 768, k: 768, count: 4, isFrozen: true), Shape(m: 197, n: 3072, k: 768, count: 1, isFrozen: true),
    Shape(m: 197, n: 768, k: 3072, count: 1, isFrozen: true), Shape(m: 197, n: 197, k: 64, count: 12, isFrozen: false),
  ]

  /// - Parameter seconds: at most, and at least two tries of each.
  package static func measure(seconds: Double = 1) -> LibraryRates {
    let makers =
      ProductLibrary.linked.map { Maker(library: $0, precision: .float32) }
      + ((try? BFloat16Support.current()) == nil ? [] : [Maker(library: .onednn, precision: .bfloat16)])
    var times = [Maker: Double]()
    var flop = 0.0
    for shape in shapes {
      var best = [Maker: Double]()
      let cases = makers.map { (maker: $0, work: work(shape, by: $0)) }
      let limit = Date().addingTimeInterval(seconds / Double(shapes.count))
      var tries = 0
      while tries < 2 || (tries < 30 && Date() < limit) {
        for (maker, work) in cases {
          let start = threadNanoseconds()
          work()
          best[maker] = min(best[maker] ?? .infinity, threadNanoseconds() - start)
        }
        tries += 1
      }
      for maker in makers { times[maker, default: 0] += shape.count * (best[maker] ?? .infinity) }
      flop += shape.count * 2 * Double(shape.m * shape.n * shape.k)
    }
    let exact = times.filter { $0.key.precision == .float32 }
    return LibraryRates(
      rates: Dictionary(uniqueKeysWithValues: exact.map { ($0.key.library, flop / $0.value) }),
      bfloat16: times.first { $0.key.precision == .bfloat16 }.map { flop / $0.value })
  }

  /// What the calling thread has run for: what others do on the machine meanwhile does not count.
  private static func threadNanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return 1e9 * Double(time.tv_sec) + Double(time.tv_nsec)
  }

  /// A product as the model makes it: of a packed weight where the map is frozen and the library packs.
  private static func work(_ shape: Shape, by maker: Maker) -> () -> Void {
    let (m, n, k) = (shape.m, shape.n, shape.k)
    let (x, w, y, bias) = (Buffer(m * k), Buffer(n * k), Buffer(m * n), Buffer(n))
    for buffer in [x, w] {
      for i in 0..<buffer.count { buffer.base[i] = Float(i % 13) - 6 }
    }
    if maker.library == .onednn, shape.isFrozen,
      let product = try? PackedProduct(PackedShape(rows: m, outputs: n, inputs: k, precision: maker.precision))
    {
      let packed = Buffer((product.packedBytes + 3) / MemoryLayout<Float>.stride)
      if (try? product.pack(packed.base, w.base)) != nil {
        return { product.run(y.base, x.base, packed: packed.base, bias: bias.base) }
      }
    }
    return { multiplyTransposed(y.base, x.base, w.base, m: m, n: n, k: k, by: maker.library) }
  }
}

/// - Parameters:
///   - library: what `run.products` means here.
///   - isAutomatic: whether the table of processors chose it.
package func checkLibrary(_ library: ProductLibrary, isAutomatic: Bool, _ measured: LibraryRates) -> Finding {
  // Less is what a busy machine makes of nothing.
  let margin = 1.05
  func told(_ library: ProductLibrary) -> String {
    String(format: "%@ %.0f GFLOP/s", library.description, measured.rates[library] ?? 0)
  }
  let others = ProductLibrary.linked.filter { $0 != library }
  var text = "\(isAutomatic ? "run.products auto takes" : "run.products is") \(library.rawValue): \(told(library))"
  if !others.isEmpty { text += ", against " + others.map(told).joined(separator: ", ") }
  text += " (one thread, a block's products)"
  guard others.isEmpty else {
    let own = measured.rates[library] ?? 0
    let better = others.first { (measured.rates[$0] ?? 0) > margin * own }
    return better.map { .note("library", text, "run.products: \($0.rawValue) is the faster on this processor") }
      ?? .ok("library", text)
  }
  return .ok("library", "\(text); a build with --traits BFloat16 has oneDNN beside it")
}

/// Whether `encoder.precision: bfloat16` pays on this processor; nil where there is none.
///
/// - Parameter library: what makes the products in float32.
package func checkBFloat16(_ library: ProductLibrary, _ measured: LibraryRates) -> Finding? {
  guard let bfloat16 = measured.bfloat16, let exact = measured.rates[library] else { return nil }
  let text = String(
    format: "%.0f GFLOP/s with frozen weights in bfloat16, against %.0f in float32 (one thread, a block's products)",
    bfloat16, exact)
  return bfloat16 > exact
    ? .ok("bfloat16", text)
    : .note("bfloat16", text, "keep encoder.precision: float32, which is as fast here or faster")
}
