import Randomness
import Testing

/// Philox's published vectors (Random123, `kat_vectors`, philox4x32 with 10 rounds).
@Test func philoxGivesThePublishedVectors() {
  #expect(
    Philox.block(counter: SIMD4(0, 0, 0, 0), key: SIMD2(0, 0))
      == SIMD4(0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8))
  #expect(
    Philox.block(counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max))
      == SIMD4(0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD))
  #expect(
    Philox.block(
      counter: SIMD4(0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344), key: SIMD2(0xA409_3822, 0x299F_31D0))
      == SIMD4(0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1))
}

@Test func aStreamIsAPureFunctionOfSeedNameAndIndex() {
  func draws(_ seed: UInt64, _ name: String, _ index: UInt64) -> [UInt32] {
    var stream = RandomStream(seed: seed, name: name, index: index)
    return (0..<8).map { _ in stream.bits() }
  }
  #expect(draws(1, "order", 2) == draws(1, "order", 2))
  #expect(Set([draws(1, "order", 2), draws(2, "order", 2), draws(1, "view", 2), draws(1, "order", 3)]).count == 4)
}

@Test func drawsHaveTheirDistributionsMoments() {
  var stream = RandomStream(seed: 7, name: "test")
  let n = 200_000
  let uniform = (0..<n).map { _ in stream.uniform() }
  let normal = (0..<n).map { _ in stream.normal() }
  let cut = (0..<n).map { _ in stream.truncatedNormal(cut: 2) }
  func mean(_ x: [Double]) -> Double { x.reduce(0, +) / Double(x.count) }
  func variance(_ x: [Double]) -> Double { mean(x.map { $0 * $0 }) - mean(x) * mean(x) }
  #expect(abs(mean(uniform) - 0.5) < 0.003 && abs(variance(uniform) - 1.0 / 12) < 0.001)
  #expect(abs(mean(normal)) < 0.01 && abs(variance(normal) - 1) < 0.015)
  // The variance of N(0, 1) cut at ±2 is 0.7737.
  #expect(cut.allSatisfy { abs($0) <= 2 } && abs(variance(cut) - 0.7737) < 0.01)
}

@Test func aPermutationHoldsEachIndexOnceAndIntegersAreUnbiased() {
  var stream = RandomStream(seed: 3, name: "test")
  #expect(stream.permutation(1000).sorted() == Array(0..<1000))
  var counts = [Int](repeating: 0, count: 6)
  for _ in 0..<60_000 { counts[stream.integer(below: 6)] += 1 }
  #expect(counts.allSatisfy { abs($0 - 10_000) < 500 })
}
