import Foundation
import Machine
import Networks
import Tensor

// What the product libraries alone reach in this process, every thread of the team running its own products.

/// The rate of the chosen library on all of the work's shapes together, in GFLOP/s.
func productRate(_ products: ProductCount, team: ThreadTeam) throws -> Double {
  var seconds = 0.0
  for (shape, count) in products.counts { seconds += try secondsOf(shape, team: team) * Double(count) }
  return products.flop / 1e9 * Double(team.threadCount) / seconds
}

/// One product's, on a thread, while all of them make one.
private func secondsOf(_ shape: ProductShape, team: ThreadTeam) throws -> Double {
  let operands = (0..<team.threadCount).map { _ in
    (Buffer(shape.m * shape.k), Buffer(shape.n * shape.k), Buffer(shape.m * shape.n))
  }
  for (x, w, _) in operands {
    fillWithNoise(x.base, x.count, seed: 1)
    fillWithNoise(w.base, w.count, seed: 2)
  }
  let product = try shape.packed.map {
    try PackedProduct(PackedShape(rows: shape.m, outputs: shape.n, inputs: shape.k, precision: $0))
  }
  let packed = UnsafeMutableRawPointer.allocate(byteCount: max(product?.packedBytes ?? 0, 64), alignment: 64)
  defer { packed.deallocate() }
  try product?.pack(packed, operands[0].1.base)
  let bias = Buffer(shape.n)
  // Small products are repeated, so that starting the threads does not count.
  let repeats = max(1, Int(2e8 / shape.flop))
  return fastest(of: 5) {
    team.run(team.threadCount) { task, _ in
      let (x, w, y) = operands[task]
      for _ in 0..<repeats {
        if let product {
          product.run(y.base, x.base, packed: packed, bias: bias.base)
        } else if shape.form == .forward {
          multiplyTransposed(y.base, x.base, w.base, m: shape.m, n: shape.n, k: shape.k)
        } else {
          multiply(y.base, x.base, w.base, m: shape.m, n: shape.k, k: shape.n)
        }
      }
    }
  } / Double(repeats)
}

/// The machine's ceiling in GFLOP/s: a product of 4096³ by the better of the linked libraries, a part of its rows by
/// each thread.
func machineCeiling(team: ThreadTeam) -> Double {
  let side = 4096
  let (x, w, y) = (Buffer(side * side), Buffer(side * side), Buffer(side * side))
  for (seed, buffer) in [x, w].enumerated() { fillWithNoise(buffer.base, buffer.count, seed: UInt64(seed)) }
  let parts = team.threadCount
  let seconds = ProductLibrary.linked.map { library in
    fastest(of: 3) {
      team.run(parts) { part, _ in
        let rows = (side * part / parts)..<(side * (part + 1) / parts)
        multiply(
          y.base + rows.lowerBound * side, x.base + rows.lowerBound * side, w.base, m: rows.count, n: side, k: side,
          by: library)
      }
    }
  }
  return seconds.min().map { 2 * pow(Double(side), 3) / 1e9 / $0 } ?? 0
}

/// The least of so many tries, in seconds.
private func fastest(of tries: Int, _ work: () -> Void) -> Double {
  (0..<tries).reduce(Double.infinity) { best, _ in
    let start = DispatchTime.now().uptimeNanoseconds
    work()
    return min(best, Double(elapsedNanoseconds(since: start)) / 1e9)
  }
}
