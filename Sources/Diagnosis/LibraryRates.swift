import Foundation
import Tensor

/// How fast the linked libraries make a transformer block's products on this processor, to see whether the table of
/// `run.products: auto` is right of it.
package struct LibraryRates: Sendable {
  /// In GFLOP/s, one thread; several libraries take turns.
  package let rates: [ProductLibrary: Double]

  package init(rates: [ProductLibrary: Double]) { self.rates = rates }

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
    let libraries = ProductLibrary.linked
    var times = [ProductLibrary: Double]()
    var flop = 0.0
    for shape in shapes {
      var best = [ProductLibrary: Double]()
      let cases = libraries.map { (library: $0, work: work(shape, by: $0)) }
      let limit = Date().addingTimeInterval(seconds / Double(shapes.count))
      var tries = 0
      while tries < 2 || (tries < 30 && Date() < limit) {
        for (library, work) in cases {
          let start = threadNanoseconds()
          work()
          best[library] = min(best[library] ?? .infinity, threadNanoseconds() - start)
        }
        tries += 1
      }
      for library in libraries { times[library, default: 0] += shape.count * (best[library] ?? .infinity) }
      flop += shape.count * 2 * Double(shape.m * shape.n * shape.k)
    }
    return LibraryRates(rates: times.mapValues { flop / $0 })
  }

  /// What the calling thread has run for: what others do on the machine meanwhile does not count.
  private static func threadNanoseconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return 1e9 * Double(time.tv_sec) + Double(time.tv_nsec)
  }

  /// A product as the model makes it: of a packed weight where the map is frozen and the library packs.
  private static func work(_ shape: Shape, by library: ProductLibrary) -> () -> Void {
    let (m, n, k) = (shape.m, shape.n, shape.k)
    let (x, w, y, bias) = (Buffer(m * k), Buffer(n * k), Buffer(m * n), Buffer(n))
    for buffer in [x, w] {
      for i in 0..<buffer.count { buffer.base[i] = Float(i % 13) - 6 }
    }
    if library == .onednn, shape.isFrozen,
      let product = try? PackedProduct(PackedShape(rows: m, outputs: n, inputs: k, precision: .float32))
    {
      let packed = Buffer(product.packedBytes / MemoryLayout<Float>.stride)
      if (try? product.pack(packed.base, w.base)) != nil {
        return { product.run(y.base, x.base, packed: packed.base, bias: bias.base) }
      }
    }
    return { multiplyTransposed(y.base, x.base, w.base, m: m, n: n, k: k, by: library) }
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
