import Machine
import TestSupport
import Testing
import VectorKernels
import WideVectorKernels

private typealias Floats = UnsafeMutablePointer<Float>
/// Of eight blocks of memory and a row's length.
private typealias Kernel = @Sendable ([Floats], Int) -> Void

private func doubles(_ p: Floats) -> UnsafeMutablePointer<Double> {
  UnsafeMutableRawPointer(p).assumingMemoryBound(to: Double.self)
}

private func const(_ p: Floats) -> UnsafePointer<Float> { UnsafePointer(p) }

private func halves(_ p: Floats) -> UnsafeMutablePointer<UInt16> {
  UnsafeMutableRawPointer(p).assumingMemoryBound(to: UInt16.self)
}

private let narrow: [(String, Kernel)] = [
  ("gelu", { p, n in VectorKernels.gelu(p[1], p[0], n) }),
  ("geluAndDerivative", { p, n in VectorKernels.geluAndDerivative(p[1], p[0], n) }),
  ("quickGELU", { p, n in VectorKernels.quickGELU(p[1], p[0], n) }),
  ("quickGELUAndDerivative", { p, n in VectorKernels.quickGELUAndDerivative(p[1], p[0], n) }),
  ("sigmoid", { p, n in VectorKernels.sigmoid(p[1], p[0], n) }),
  ("sigmoidBackward", { p, n in VectorKernels.sigmoidBackward(p[1], p[0], p[2], n) }),
  ("reluBackward", { p, n in VectorKernels.reluBackward(p[1], p[0], p[2], n) }),
  (
    "softmaxRows",
    { p, n in VectorKernels.softmaxRows(p[0], logSums: p[1], rows: 3, columns: n, stride: (n + 15) / 16 * 16) }
  ),
  (
    "softmaxRowsBackward",
    { p, n in
      VectorKernels.softmaxRowsBackward(p[0], p[1], logSums: p[2], rows: 3, columns: n, stride: (n + 15) / 16 * 16)
    }
  ),
  ("softmax", { p, n in VectorKernels.softmax(p[1], p[0], n) }),
  ("softmaxOfTwo", { p, n in VectorKernels.softmaxOfTwo(p[0], rows: n) }),
  ("softmaxOfTwoBackward", { p, n in VectorKernels.softmaxOfTwoBackward(p[0], p[1], rows: n) }),
  (
    "layerNorm",
    { p, n in
      VectorKernels.layerNorm(
        p[1], p[0], weight: p[2], bias: p[3], eps: 1e-5, mean: p[4], inverse: p[5], rows: 3, columns: n)
    }
  ),
  (
    "layerNorm without weights",
    { p, n in
      VectorKernels.layerNorm(
        p[1], p[0], weight: nil, bias: nil, eps: 1e-5, mean: nil, inverse: nil, rows: 3, columns: n)
    }
  ),
  (
    "layerNormApply",
    { p, n in
      VectorKernels.layerNormApply(p[1], p[0], weight: p[2], bias: p[3], mean: p[4], inverse: p[5], rows: 3, columns: n)
    }
  ),
  (
    "layerNormBackward",
    { p, n in
      VectorKernels.layerNormBackward(
        p[0], dWeight: p[1], dBias: p[2], p[3], p[4], weight: p[5], mean: p[6], inverse: p[7], rows: 3, columns: n)
    }
  ),
  (
    "layerNormBackward without weights",
    { p, n in
      VectorKernels.layerNormBackward(
        p[0], dWeight: nil, dBias: nil, p[3], p[4], weight: nil, mean: p[6], inverse: p[7], rows: 3, columns: n)
    }
  ),
  ("accumulate", { p, n in VectorKernels.accumulate(p[0], p[1], n) }),
  ("scale", { p, n in VectorKernels.scale(p[0], by: p[1], n) }),
  ("scale by a number", { p, n in VectorKernels.scale(p[0], by: 0.3, n) }),
  ("addRow", { p, n in VectorKernels.addRow(p[0], p[1], p[2], rows: 3, columns: n) }),
  ("accumulateRows", { p, n in VectorKernels.accumulateRows(p[0], p[1], rows: 3, columns: n, stride: n + 1) }),
  ("scaleRows", { p, n in VectorKernels.scaleRows(p[0], p[1], p[2], rows: 3, columns: n) }),
  ("scaleRowsBackward", { p, n in VectorKernels.scaleRowsBackward(p[0], p[1], p[2], p[3], p[4], rows: 3, columns: n) }),
  ("spreadRow", { p, n in VectorKernels.spreadRow(p[0], p[1], by: 0.3, rows: 3, columns: n, adding: false) }),
  ("spreadRow, adding", { p, n in VectorKernels.spreadRow(p[0], p[1], by: 0.3, rows: 3, columns: n, adding: true) }),
  ("sumOfSquares", { p, n in p[0][0] = Float(VectorKernels.sumOfSquares(p[1], n)) }),
  (
    "adamW",
    { p, n in VectorKernels.adamW(p[0], p[1], p[2], p[3], n, (0.99, 0.01, 1.2, 1e-8, 0.5, 0.9, 0.1, 0.999, 0.001)) }
  ),
  (
    "sgd",
    { p, n in VectorKernels.sgd(p[0], p[1], p[2], n, weightDecay: 0.01, rate: 0.1, momentum: 0.9, gradient: 0.5) }
  ),
  ("batchNormSums", { p, n in VectorKernels.batchNormSums(doubles(p[0]), p[1], rows: 3, channels: n) }),
  (
    "batchNormApply",
    { p, n in
      VectorKernels.batchNormApply(
        p[0], p[1], (const(p[2]), const(p[3]), const(p[4]), const(p[5])), relu: true, rows: 3, channels: n)
    }
  ),
  (
    "batchNormReLUBackward",
    { p, n in
      VectorKernels.batchNormReLUBackward(
        p[0], p[1], p[6], (const(p[2]), const(p[3]), const(p[4]), const(p[5])), rows: 3, channels: n)
    }
  ),
  (
    "batchNormBackwardSums",
    { p, n in
      VectorKernels.batchNormBackwardSums(doubles(p[0]), p[1], p[2], mean: p[3], inverse: p[4], rows: 3, channels: n)
    }
  ),
  (
    "batchNormBackwardApply",
    { p, n in
      VectorKernels.batchNormBackwardApply(
        p[0], p[1], p[2], mean: p[3], inverse: p[4], weight: p[5], meanDY: p[6], meanDYX: p[7], rows: 3, channels: n)
    }
  ),
  ("roundToBFloat16", { p, n in VectorKernels.roundToBFloat16(halves(p[0]), p[1], n) }),
]

private let wide: [(String, Kernel)] = [
  ("gelu", { p, n in WideVectorKernels.gelu(p[1], p[0], n) }),
  ("geluAndDerivative", { p, n in WideVectorKernels.geluAndDerivative(p[1], p[0], n) }),
  ("quickGELU", { p, n in WideVectorKernels.quickGELU(p[1], p[0], n) }),
  ("quickGELUAndDerivative", { p, n in WideVectorKernels.quickGELUAndDerivative(p[1], p[0], n) }),
  ("sigmoid", { p, n in WideVectorKernels.sigmoid(p[1], p[0], n) }),
  ("sigmoidBackward", { p, n in WideVectorKernels.sigmoidBackward(p[1], p[0], p[2], n) }),
  ("reluBackward", { p, n in WideVectorKernels.reluBackward(p[1], p[0], p[2], n) }),
  (
    "softmaxRows",
    { p, n in WideVectorKernels.softmaxRows(p[0], logSums: p[1], rows: 3, columns: n, stride: (n + 15) / 16 * 16) }
  ),
  (
    "softmaxRowsBackward",
    { p, n in
      WideVectorKernels.softmaxRowsBackward(p[0], p[1], logSums: p[2], rows: 3, columns: n, stride: (n + 15) / 16 * 16)
    }
  ),
  ("softmax", { p, n in WideVectorKernels.softmax(p[1], p[0], n) }),
  ("softmaxOfTwo", { p, n in WideVectorKernels.softmaxOfTwo(p[0], rows: n) }),
  ("softmaxOfTwoBackward", { p, n in WideVectorKernels.softmaxOfTwoBackward(p[0], p[1], rows: n) }),
  (
    "layerNorm",
    { p, n in
      WideVectorKernels.layerNorm(
        p[1], p[0], weight: p[2], bias: p[3], eps: 1e-5, mean: p[4], inverse: p[5], rows: 3, columns: n)
    }
  ),
  (
    "layerNorm without weights",
    { p, n in
      WideVectorKernels.layerNorm(
        p[1], p[0], weight: nil, bias: nil, eps: 1e-5, mean: nil, inverse: nil, rows: 3, columns: n)
    }
  ),
  (
    "layerNormApply",
    { p, n in
      WideVectorKernels.layerNormApply(
        p[1], p[0], weight: p[2], bias: p[3], mean: p[4], inverse: p[5], rows: 3, columns: n)
    }
  ),
  (
    "layerNormBackward",
    { p, n in
      WideVectorKernels.layerNormBackward(
        p[0], dWeight: p[1], dBias: p[2], p[3], p[4], weight: p[5], mean: p[6], inverse: p[7], rows: 3, columns: n)
    }
  ),
  (
    "layerNormBackward without weights",
    { p, n in
      WideVectorKernels.layerNormBackward(
        p[0], dWeight: nil, dBias: nil, p[3], p[4], weight: nil, mean: p[6], inverse: p[7], rows: 3, columns: n)
    }
  ),
  ("accumulate", { p, n in WideVectorKernels.accumulate(p[0], p[1], n) }),
  ("scale", { p, n in WideVectorKernels.scale(p[0], by: p[1], n) }),
  ("scale by a number", { p, n in WideVectorKernels.scale(p[0], by: 0.3, n) }),
  ("addRow", { p, n in WideVectorKernels.addRow(p[0], p[1], p[2], rows: 3, columns: n) }),
  ("accumulateRows", { p, n in WideVectorKernels.accumulateRows(p[0], p[1], rows: 3, columns: n, stride: n + 1) }),
  ("scaleRows", { p, n in WideVectorKernels.scaleRows(p[0], p[1], p[2], rows: 3, columns: n) }),
  (
    "scaleRowsBackward",
    { p, n in WideVectorKernels.scaleRowsBackward(p[0], p[1], p[2], p[3], p[4], rows: 3, columns: n) }
  ),
  ("spreadRow", { p, n in WideVectorKernels.spreadRow(p[0], p[1], by: 0.3, rows: 3, columns: n, adding: false) }),
  (
    "spreadRow, adding", { p, n in WideVectorKernels.spreadRow(p[0], p[1], by: 0.3, rows: 3, columns: n, adding: true) }
  ),
  ("sumOfSquares", { p, n in p[0][0] = Float(WideVectorKernels.sumOfSquares(p[1], n)) }),
  (
    "adamW",
    { p, n in WideVectorKernels.adamW(p[0], p[1], p[2], p[3], n, (0.99, 0.01, 1.2, 1e-8, 0.5, 0.9, 0.1, 0.999, 0.001)) }
  ),
  (
    "sgd",
    { p, n in WideVectorKernels.sgd(p[0], p[1], p[2], n, weightDecay: 0.01, rate: 0.1, momentum: 0.9, gradient: 0.5) }
  ),
  ("batchNormSums", { p, n in WideVectorKernels.batchNormSums(doubles(p[0]), p[1], rows: 3, channels: n) }),
  (
    "batchNormApply",
    { p, n in
      WideVectorKernels.batchNormApply(
        p[0], p[1], (const(p[2]), const(p[3]), const(p[4]), const(p[5])), relu: true, rows: 3, channels: n)
    }
  ),
  (
    "batchNormReLUBackward",
    { p, n in
      WideVectorKernels.batchNormReLUBackward(
        p[0], p[1], p[6], (const(p[2]), const(p[3]), const(p[4]), const(p[5])), rows: 3, channels: n)
    }
  ),
  (
    "batchNormBackwardSums",
    { p, n in
      WideVectorKernels.batchNormBackwardSums(
        doubles(p[0]), p[1], p[2], mean: p[3], inverse: p[4], rows: 3, channels: n)
    }
  ),
  (
    "batchNormBackwardApply",
    { p, n in
      WideVectorKernels.batchNormBackwardApply(
        p[0], p[1], p[2], mean: p[3], inverse: p[4], weight: p[5], meanDY: p[6], meanDYX: p[7], rows: 3, channels: n)
    }
  ),
  ("roundToBFloat16", { p, n in WideVectorKernels.roundToBFloat16(halves(p[0]), p[1], n) }),
]

/// What a kernel leaves in the eight blocks, which begin with noise and values at the edges.
private func bits(_ kernel: Kernel, columns: Int) -> [UInt32] {
  let size = 4 * (columns + 32)
  let edges: [Float] = [0, -0.0, 1e30, -1e30, 88.4, -87.4, 3.92, .leastNonzeroMagnitude]
  let blocks = (0..<8).map { block -> Floats in
    // Doubles and vectors are read from it.
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 4 * size, alignment: 64)
    let floats = memory.bindMemory(to: Float.self, capacity: size)
    for (index, value) in values(size, seed: block + 1).enumerated() {
      floats[index] = block == 0 && index % 23 == 7 ? edges[index / 23 % edges.count] : 4 * value
    }
    return floats
  }
  defer { blocks.forEach { $0.deallocate() } }
  kernel(blocks, columns)
  return blocks.flatMap { block in (0..<size).map { block[$0].bitPattern } }
}

private let isWide = Processor.current.vectors >= .avx512

@Test(.enabled(if: isWide, "this processor has no AVX-512"), arguments: [1, 8, 15, 16, 17, 33, 100, 197])
func kernelsOfWideVectorsGiveTheBitsOfTheOthers(columns: Int) {
  for (plain, wide) in zip(narrow, wide) {
    #expect(plain.0 == wide.0)
    #expect(bits(plain.1, columns: columns) == bits(wide.1, columns: columns), "\(plain.0)")
  }
}
