import Failures
import Randomness
import Tensor
import Testing

/// The products of each linked library, in the three forms and with the strides and factors that the model has.

private func random(_ count: Int, _ name: String) -> Buffer {
  let buffer = Buffer(count)
  var stream = RandomStream(seed: 5, name: name)
  for index in 0..<count { buffer.base[index] = Float(stream.normal()) }
  return buffer
}

private enum Form: String, CaseIterable { case forward, input, weight }

/// Sizes and strides: of C [rows, columns] = A·B with `depth` terms, each matrix in rows of its own stride.
private struct Shape {
  let form: Form
  let (rows, columns, depth): (Int, Int, Int)
  /// Beyond the rows' lengths.
  let gap: Int

  /// Whether A and B lie as transposed; and what lies in memory, in rows of `gap` more than their length.
  var sizeA: (rows: Int, columns: Int) { form == .weight ? (depth, rows) : (rows, depth) }
  var sizeB: (rows: Int, columns: Int) { form == .forward ? (columns, depth) : (depth, columns) }
  var strides: (a: Int, b: Int, c: Int) { (sizeA.columns + gap, sizeB.columns + gap, columns + gap) }

  func run(
    _ c: Floats, _ a: ConstFloats, _ b: ConstFloats, scale: Float = 1, beta: Float, by library: ProductLibrary
  ) {
    switch form {
    case .forward:
      multiplyTransposed(
        c, a, b, m: rows, n: columns, k: depth, strideY: strides.c, strideX: strides.a, strideW: strides.b,
        scale: scale, beta: beta, by: library)
    case .input:
      multiply(
        c, a, b, m: rows, n: depth, k: columns, strideDX: strides.c, strideDY: strides.a, strideW: strides.b,
        scale: scale, beta: beta, by: library)
    case .weight:
      multiplyOuter(
        c, a, b, m: depth, n: rows, k: columns, strideDW: strides.c, strideDY: strides.a, strideX: strides.b,
        scale: scale, beta: beta, by: library)
    }
  }

  func a(_ values: Buffer, _ row: Int, _ term: Int) -> Double {
    Double(values.base[form == .weight ? term * strides.a + row : row * strides.a + term])
  }

  func b(_ values: Buffer, _ term: Int, _ column: Int) -> Double {
    Double(values.base[form == .forward ? column * strides.b + term : term * strides.b + column])
  }
}

private let sizes = [
  (1, 1, 1), (1, 7, 300), (5, 37, 16), (17, 1, 53), (197, 197, 64), (197, 64, 197), (50, 240, 240), (16, 192, 197),
]

@Test(arguments: ProductLibrary.linked, Form.allCases.map(\.rawValue))
func everyLibrarysProductsAreSumsToFloat32(library: ProductLibrary, form: String) throws {
  for (rows, columns, depth) in sizes {
    for (gap, scale, beta) in [(0, Float(1), Float(0)), (3, 0.125, 0), (8, 1, 1), (1, -2, 1)] {
      let shape = Shape(
        form: try #require(Form(rawValue: form)), rows: rows, columns: columns, depth: depth, gap: gap)
      let a = random(shape.sizeA.rows * shape.strides.a, "a")
      let b = random(shape.sizeB.rows * shape.strides.b, "b")
      let (c, before) = (random(rows * shape.strides.c, "c"), random(rows * shape.strides.c, "c"))
      // What is overwritten is not read.
      if beta == 0 { for row in 0..<rows { c.base[row * shape.strides.c] = .nan } }
      shape.run(c.base, a.base, b.base, scale: scale, beta: beta, by: library)
      var largest = 0.0
      for row in 0..<rows {
        for column in 0..<shape.strides.c {
          let index = row * shape.strides.c + column
          guard column < columns else {
            #expect(c.base[index] == before.base[index], "written between the rows")
            continue
          }
          var sum = 0.0
          var magnitude = 0.0
          for term in 0..<depth {
            let product = Double(scale) * shape.a(a, row, term) * shape.b(b, term, column)
            sum += product
            magnitude += abs(product)
          }
          if beta != 0 {
            sum += Double(beta) * Double(before.base[index])
            magnitude += abs(Double(before.base[index]))
          }
          // Any order of summing n terms, scaling and adding errs by at most (n + 2)·2⁻²⁴ of the sum of magnitudes.
          let error = abs(Double(c.base[index]) - sum) / (magnitude * Double(depth + 2) * 0x1p-24)
          largest = error <= largest ? largest : error
        }
      }
      #expect(largest <= 1, "\(form) \(rows)x\(columns)x\(depth), gap \(gap), \(scale), \(beta)")
    }
  }
}

@Test(arguments: ProductLibrary.linked) func aRowOfAProductDoesNotDependOnItsNeighbours(library: ProductLibrary) {
  let shape = Shape(form: .forward, rows: 197, columns: 192, depth: 192, gap: 0)
  let (a, b, c) = (random(197 * 192, "a"), random(192 * 192, "b"), Buffer(197 * 192))
  shape.run(c.base, a.base, b.base, beta: 0, by: library)
  let before = Array(UnsafeBufferPointer(start: c.base, count: c.count))
  for row in [0, 64, 191, 196] {
    let lonely = Buffer(a.count)
    for index in 0..<a.count { lonely.base[index] = index / 192 == row ? a.base[index] : .nan }
    shape.run(c.base, lonely.base, b.base, beta: 0, by: library)
    for index in (row * 192)..<(row * 192 + 192) {
      #expect(c.base[index].bitPattern == before[index].bitPattern, "row \(row)")
    }
  }
}

/// Where operands lie differs from lane to lane and from one number of ranks to another.
@Test(arguments: ProductLibrary.linked) func aProductsBitsDoNotDependOnWhereItsOperandsLie(library: ProductLibrary) {
  for form in Form.allCases {
    for (rows, columns, depth) in sizes {
      let shape = Shape(form: form, rows: rows, columns: columns, depth: depth, gap: 0)
      let countA = shape.sizeA.rows * shape.strides.a
      let countB = shape.sizeB.rows * shape.strides.b
      let (a, b) = (random(countA, "a"), random(countB, "b"))
      var first: [Float] = []
      for offset in [0, 1, 4, 16, 1021] {
        let (movedA, movedB, c) = (Buffer(countA + offset), Buffer(countB + offset), Buffer(rows * columns + offset))
        copy(movedA.base + offset, a.base, countA)
        copy(movedB.base + offset, b.base, countB)
        shape.run(c.base + offset, movedA.base + offset, movedB.base + offset, beta: 0, by: library)
        let values = Array(UnsafeBufferPointer(start: c.base + offset, count: rows * columns))
        if first.isEmpty { first = values }
        #expect(values == first, "\(form) \(rows)x\(columns)x\(depth) at \(offset)")
      }
    }
  }
}

@Test func theTableTakesOneDNNOnlyWhereItWasMeasured() {
  func choice(_ vendor: String, _ minor: Int = 6, _ instructions: OneDNNVersion.Instructions = .avx512)
    -> ProductLibrary
  {
    .automatic(
      vendor: vendor, oneDNN: OneDNNVersion(major: 2, minor: minor, patch: 3, instructions: instructions))
  }
  #expect(choice("GenuineIntel") == .onednn && choice("AuthenticAMD") == .onednn)
  #expect(choice("GenuineIntel", 6, .avx2) == .openblas && choice("AuthenticAMD", 7) == .openblas)
  #expect(choice("CentaurHauls") == .openblas && choice("unknown") == .openblas)
  #expect(ProductLibrary.automatic(vendor: "GenuineIntel", oneDNN: nil) == .openblas)
}

#if !BFloat16
  @Test func withoutOneDNNItIsRefusedWith78AndWhatToInstall() {
    #expect(ProductLibrary.linked == [.openblas])
    #expect {
      try ProductLibrary.onednn.requireLinked("run.products is onednn")
    } throws: { error in
      guard let failure = error as? Failure else { return false }
      return failure.code == .badConfiguration && failure.message.contains("libdnnl-dev")
    }
  }
#endif
