/// A named stream of random numbers, a pure function of (seed, name, index).
///
/// The key is the run's seed mixed with the stream's name; the counter's upper half is `index` (a step, an image
/// id, an epoch), its lower half counts draws. `docs/randomness.md` lists every name in use.
public struct RandomStream: Sendable {
  private let key: SIMD2<UInt32>
  private let index: UInt64
  private var position: UInt64 = 0
  private var block = SIMD4<UInt32>()
  private var used = 4

  /// - Parameters:
  ///   - seed: the run's or the split's seed.
  ///   - name: what the numbers are for, such as `"order"` or `"init/side.position"`.
  ///   - index: which of the stream's independent sequences.
  public init(seed: UInt64, name: String, index: UInt64 = 0) {
    // FNV-1a of the name, then SplitMix64's finaliser over both, so that near seeds and names give far keys.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    let mixed = Self.finalise(seed &+ 0x9E37_79B9_7F4A_7C15) ^ Self.finalise(hash)
    let k = Self.finalise(mixed)
    key = SIMD2(UInt32(truncatingIfNeeded: k), UInt32(truncatingIfNeeded: k >> 32))
    self.index = index
  }

  private static func finalise(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// The next 32 random bits.
  public mutating func bits() -> UInt32 {
    if used == 4 {
      block = Philox.block(
        counter: SIMD4(
          UInt32(truncatingIfNeeded: position), UInt32(truncatingIfNeeded: position >> 32),
          UInt32(truncatingIfNeeded: index), UInt32(truncatingIfNeeded: index >> 32)),
        key: key)
      position &+= 1
      used = 0
    }
    defer { used += 1 }
    return block[used]
  }

  /// Uniform in [0, 1), with 53 random bits.
  public mutating func uniform() -> Double {
    let high = UInt64(bits() >> 5)
    let low = UInt64(bits() >> 6)
    return Double(high << 26 | low) * 0x1p-53
  }

  /// Uniform in [low, high).
  public mutating func uniform(_ low: Double, _ high: Double) -> Double {
    low + (high - low) * uniform()
  }

  /// Uniform in 0..<bound, without bias (Lemire's method with rejection). `bound` must be positive.
  public mutating func integer(below bound: Int) -> Int {
    precondition(bound > 0 && bound <= Int(UInt32.max))
    let n = UInt32(bound)
    let threshold = (0 &- n) % n
    while true {
      let product = UInt64(bits()) * UInt64(n)
      if UInt32(truncatingIfNeeded: product) >= threshold { return Int(product >> 32) }
    }
  }

  /// A permutation of 0..<count (Fisher-Yates from the end).
  public mutating func permutation(_ count: Int) -> [Int] {
    var order = Array(0..<count)
    var last = count - 1
    while last > 0 {
      order.swapAt(last, integer(below: last + 1))
      last -= 1
    }
    return order
  }
}
