import Failures
import Foundation
import Layers
import Randomness
import Tensor
import Testing

/// Products of packed weights against sums in double, in bfloat16 of operands that are rounded by another way.

/// The nearest bfloat16 by distance, ties to the even one; finite x of less than bfloat16's largest.
private func nearest(_ x: Float) -> Float {
  let below = Float(bitPattern: x.bitPattern & 0xFFFF_0000)
  let above = Float(bitPattern: (x.bitPattern & 0xFFFF_0000) &+ 0x1_0000)
  let (down, up) = (abs(Double(x) - Double(below)), abs(Double(above) - Double(x)))
  guard down == up else { return down < up ? below : above }
  return below.bitPattern & 0x1_0000 == 0 ? below : above
}

private func random(_ count: Int, _ name: String) -> Buffer {
  let buffer = Buffer(count)
  var stream = RandomStream(seed: 3, name: name)
  for index in 0..<count { buffer.base[index] = Float(stream.normal()) }
  return buffer
}

@Test func roundingToBFloat16IsToTheNearestAndTiesGoToEven() {
  var values: [Float] = [
    0, -0.0, 1, -1, 1 + 0x1p-8, 1 + 3 * 0x1p-8, -1 - 0x1p-8, (1 + 0x1p-8).nextUp, (1 + 0x1p-8).nextDown, 0x1p-126,
    0x1p-130,
    .leastNonzeroMagnitude, 3.3e38, -3.3e38,
  ]
  let noise = random(1000, "rounding")
  values += (0..<noise.count).map { noise.base[$0] }
  for count in [1, 15, 16, 17, values.count] {
    var found = [UInt16](repeating: 0xABCD, count: count + 1)
    roundToBFloat16(&found, values, count)
    for index in 0..<count {
      #expect(
        Float(bitPattern: UInt32(found[index]) << 16).bitPattern == nearest(values[index]).bitPattern,
        "\(values[index])")
    }
    #expect(found[count] == 0xABCD, "\(count): written behind the end")
  }
  var found = [UInt16](repeating: 0, count: 5)
  roundToBFloat16(&found, [.infinity, -.infinity, .nan, Float(bitPattern: 0x7FFF_FFFF), .greatestFiniteMagnitude], 5)
  #expect(found == [0x7F80, 0xFF80, 0x7FC0, 0x7FC0, 0x7F80])
}

#if BFloat16
  /// Those that oneDNN has on this processor.
  private let precisions: [Precision] = (try? BFloat16Support.current()) == nil ? [.float32] : [.float32, .bfloat16]

  /// A product with its operands: x [rows, inputs], W [outputs, inputs], b [outputs]. The packed weight is memory that
  /// can only be read, as it is for all but one process of a machine.
  private final class Case {
    let shape: PackedShape
    let product: PackedProduct
    let x: Buffer
    let w: Buffer
    let b: Buffer
    private let packed: UnsafeMutableRawPointer

    init(_ shape: PackedShape) throws {
      self.shape = shape
      product = try PackedProduct(shape)
      x = random(shape.rows * shape.inputs, "x")
      w = random(shape.outputs * shape.inputs, "w")
      b = random(shape.outputs, "b")
      packed = try #require(mmap(nil, product.packedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
      try product.pack(packed, w.base)
      mprotect(packed, product.packedBytes, PROT_READ)
    }

    deinit { munmap(packed, product.packedBytes) }

    func run() -> [Float] {
      let y = Buffer(shape.rows * shape.strideY)
      product.run(y.base, x.base, packed: packed, bias: b.base)
      return Array(UnsafeBufferPointer(start: y.base, count: y.count))
    }
  }

  private let sizes: [(rows: Int, outputs: Int, inputs: Int, strideY: Int?)] = [
    (1, 1, 1, nil), (5, 37, 16, nil), (17, 24, 53, 72), (50, 240, 240, nil), (197, 192, 192, 576), (197, 768, 192, nil),
    (197, 192, 768, nil),
  ]

  @Test(arguments: precisions, sizes)
  func productsOfPackedWeightsAreSumsOfTheirOperandsToFloat32(
    precision: Precision, size: (rows: Int, outputs: Int, inputs: Int, strideY: Int?)
  ) throws {
    let shape = PackedShape(
      rows: size.rows, outputs: size.outputs, inputs: size.inputs, strideY: size.strideY, precision: precision)
    func operand(_ x: Float) -> Double { Double(precision == .bfloat16 ? nearest(x) : x) }
    let product = try Case(shape)
    let y = product.run()
    let x = (0..<product.x.count).map { operand(product.x.base[$0]) }
    let w = (0..<product.w.count).map { operand(product.w.base[$0]) }
    var largest = 0.0
    for row in 0..<shape.rows {
      for column in 0..<shape.strideY {
        let found = Double(y[row * shape.strideY + column])
        guard column < shape.outputs else {
          #expect(found == 0, "written between the rows")
          continue
        }
        var (sum, magnitude) = (Double(product.b.base[column]), abs(Double(product.b.base[column])))
        for i in 0..<shape.inputs {
          let term = x[row * shape.inputs + i] * w[column * shape.inputs + i]
          sum += term
          magnitude += abs(term)
        }
        // Products are exact, of two bfloat16 or fused with the sum; any order of summing n + 1 terms errs by at most
        // n·2⁻²⁴ of the sum of magnitudes.
        largest = max(largest, abs(found - sum) / (magnitude * Double(shape.inputs) * 0x1p-24))
      }
    }
    #expect(largest <= 1, "\(shape)")
  }

  @Test(arguments: precisions) func aRowsBitsDoNotDependOnItsNeighbours(precision: Precision) throws {
    let product = try Case(PackedShape(rows: 197, outputs: 96, inputs: 192, precision: precision))
    let before = product.run()
    for row in [0, 64, 191, 196] {
      for index in 0..<product.x.count where index / 192 != row { product.x.base[index] = .nan }
      let after = product.run()
      #expect(after[(row * 96)..<(row * 96 + 96)].elementsEqual(before[(row * 96)..<(row * 96 + 96)]), "row \(row)")
      let fresh = random(product.x.count, "x")
      copy(product.x.base, fresh.base, fresh.count)
    }
  }

  @Test(arguments: precisions) func productsFromManyThreadsAtOnceAreThoseOfOne(precision: Precision) throws {
    let cases = try [(197, 192, 192), (197, 768, 192), (197, 192, 768)].map {
      try Case(PackedShape(rows: $0.0, outputs: $0.1, inputs: $0.2, precision: precision))
    }
    let alone = cases.map { $0.run() }
    let count = 120
    let together = UnsafeMutableBufferPointer<Bool>.allocate(capacity: count)
    defer { together.deallocate() }
    ThreadTeam(threads: 8).run(count) { task, _ in together[task] = cases[task % 3].run() == alone[task % 3] }
    #expect(together.allSatisfy { $0 })
  }
#else
  @Test func withoutOneDNNBFloat16IsRefusedWithWhatToInstall() {
    #expect {
      try PackedProduct(PackedShape(rows: 1, outputs: 1, inputs: 1, precision: .bfloat16))
    } throws: { error in
      guard let failure = error as? Failure else { return false }
      return failure.code == .unavailable && failure.message.contains("libdnnl-dev")
        && failure.message.contains("--traits BFloat16")
    }
  }
#endif
