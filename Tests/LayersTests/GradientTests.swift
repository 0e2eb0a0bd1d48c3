import Foundation
import Lanes
import Layers
import Tensor
import TestSupport
import Testing

/// Every backward pass against finite differences of the operation written out in double.

/// Runs kernels on arrays.
private func with<Result>(_ arrays: [[Float]], _ body: ([Floats]) -> Result) -> Result {
  let buffers = arrays.map { array in
    let buffer = Buffer(array.count + 64)
    for (index, value) in array.enumerated() { buffer.base[index] = value }
    return buffer
  }
  return withExtendedLifetime(buffers) { body(buffers.map(\.base)) }
}

private func array(_ p: Floats, _ count: Int) -> [Float] { Array(UnsafeBufferPointer(start: p, count: count)) }

private let tolerance = 2e-5

@Test(arguments: [1, 15, 16, 17, 100]) func pointwiseGradientsAgreeWithFiniteDifferences(count: Int) {
  let x = values(count, seed: 1).map { $0 * 4 }
  let dy = values(count, seed: 2)
  typealias Kernel = (Floats, Floats, Int) -> Void
  let cases: [(String, Kernel, (Double) -> Double)] = [
    ("gelu", { geluAndDerivative($0, $1, $2) }, { $0 * 0.5 * (1 + erf($0 / 2.0.squareRoot())) }),
    ("quickgelu", { quickGELUAndDerivative($0, $1, $2) }, { $0 / (1 + exp(-1.702 * $0)) }),
  ]
  for (name, kernel, f) in cases {
    let (y, found) = with([x, x, dy]) { p -> ([Float], [Float]) in
      kernel(p[0], p[1], count)
      scale(p[2], by: p[1], count)
      return (array(p[0], count), array(p[2], count))
    }
    #expect(difference(y, doubles(x).map(f)) < tolerance, "\(name)")
    let expected = finiteDifferences(doubles(x), doubles(dy)) { $0.map(f) }
    #expect(difference(found, expected) < tolerance, "\(name)")
  }
  let found = with([x, x, dy]) { p -> [Float] in
    sigmoid(p[1], p[0], count)
    sigmoidBackward(p[2], p[2], p[1], count)
    return array(p[2], count)
  }
  #expect(difference(found, finiteDifferences(doubles(x), doubles(dy)) { $0.map { 1 / (1 + exp(-$0)) } }) < tolerance)
}

@Test(arguments: [(3, 7), (2, 16), (4, 33)]) func layerNormGradientsAgreeWithFiniteDifferences(shape: (Int, Int)) {
  let (rows, columns) = shape
  let (x, dy) = (values(rows * columns, seed: 3), values(rows * columns, seed: 4))
  let (w, b) = (values(columns, seed: 5), values(columns, seed: 6))
  let zeros = [Float](repeating: 0, count: rows * columns)
  let found = with([x, dy, w, b, zeros, zeros, zeros, zeros, zeros, zeros]) { p -> [[Float]] in
    layerNorm(p[9], p[0], weight: p[2], bias: p[3], eps: 1e-5, mean: p[4], inverse: p[5], rows: rows, columns: columns)
    layerNormBackward(
      p[6], dWeight: p[7], dBias: p[8], p[1], p[0], weight: p[2], mean: p[4], inverse: p[5], rows: rows,
      columns: columns)
    return [array(p[6], rows * columns), array(p[7], columns), array(p[8], columns)]
  }
  func f(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
    (0..<rows).flatMap { r -> [Double] in
      let row = Array(x[(r * columns)..<((r + 1) * columns)])
      let mean = row.reduce(0, +) / Double(columns)
      let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(columns)
      return row.indices.map { (row[$0] - mean) / (variance + 1e-5).squareRoot() * w[$0] + b[$0] }
    }
  }
  let (X, W, B, DY) = (doubles(x), doubles(w), doubles(b), doubles(dy))
  #expect(difference(found[0], finiteDifferences(X, DY) { f($0, W, B) }) < tolerance)
  #expect(difference(found[1], finiteDifferences(W, DY) { f(X, $0, B) }) < tolerance)
  #expect(difference(found[2], finiteDifferences(B, DY) { f(X, W, $0) }) < tolerance)
}

@Test(arguments: [(5, 2, 3), (17, 1, 8), (3, 3, 1), (16, 2, 4), (32, 1, 5)])
func attentionGradientsAgreeWithFiniteDifferences(
  shape: (Int, Int, Int)
) {
  let (T, heads, headWidth) = shape
  let D = heads * headWidth
  let (qkv, dy) = (values(T * 3 * D, seed: 7), values(T * D, seed: 8))
  let room = [Float](repeating: .nan, count: 2 * attentionScratchCount(tokens: T) + heads * T + T * 3 * D)
  let found = with([qkv, dy, room, room, room, room]) { p -> [Float] in
    attention(p[2], logSums: p[3], p[0], scratch: p[5], tokens: T, width: D, heads: heads)
    attentionBackward(p[4], p[1], logSums: p[3], p[0], scratch: p[5], tokens: T, width: D, heads: heads)
    return array(p[4], T * 3 * D)
  }
  let expected = finiteDifferences(doubles(qkv), doubles(dy)) { x in
    var out = [Double](repeating: 0, count: T * D)
    for h in 0..<heads {
      for t in 0..<T {
        func at(_ part: Int, _ token: Int, _ d: Int) -> Double { x[token * 3 * D + part * D + h * headWidth + d] }
        let scores = (0..<T).map { s in
          exp((0..<headWidth).reduce(0) { $0 + at(0, t, $1) * at(1, s, $1) } / Double(headWidth).squareRoot())
        }
        let total = scores.reduce(0, +)
        for d in 0..<headWidth {
          out[t * D + h * headWidth + d] = (0..<T).reduce(0) { $0 + scores[$1] / total * at(2, $1, d) }
        }
      }
    }
    return out
  }
  #expect(difference(found, expected) < tolerance)
}

@Test(arguments: [1, 3], [Padding.zeros, .replicate]) func convolutionGradientsAgreeWithFiniteDifferences(
  kernel: Int, padding: Padding
) throws {
  let (g, inputs, outputs) = (4, 3, 2)
  let store = ParameterStore()
  let layer = Convolution(
    store, "c", inputs: inputs, outputs: outputs, kernel: kernel, padding: padding, group: group,
    initialiser: .zeros, bias: .zeros)
  try store.allocate(training: true)
  let (x, dy) = (values(g * g * inputs, seed: 9), values(g * g * outputs, seed: 10))
  let (w, b) = (values(outputs * inputs * kernel * kernel, seed: 11), values(outputs, seed: 12))
  store.set(layer.weight, fromFile: w)
  if let bias = layer.bias { store.set(bias, fromFile: b) }
  let room = [Float](repeating: 0, count: layer.scratchCount(grid: g) + g * g * 16)
  let (y, dx, alone) = with([x, dy, room, room, room, room]) { p -> ([Float], [Float], [Float]) in
    layer.forward(p[2], p[0], grid: g, scratch: p[3])
    let y = array(p[2], g * g * outputs)
    layer.backward(
      p[4], p[1], p[0], grid: g, slot: GradientSlot(base: store.gradients.base, origin: 0), scratch: p[3])
    layer.backwardInput(p[5], p[1], grid: g, scratch: p[3])
    return (y, array(p[4], g * g * inputs), array(p[5], g * g * inputs))
  }
  #expect(alone == dx, "the gradient of the input alone")
  func f(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
    let reach = kernel / 2
    return (0..<(g * g)).flatMap { n in
      (0..<outputs).map { o -> Double in
        var total = b[o]
        for dr in -reach...reach {
          for dc in -reach...reach {
            var (r, c) = (n / g + dr, n % g + dc)
            if padding == .replicate { (r, c) = (min(max(r, 0), g - 1), min(max(c, 0), g - 1)) }
            guard r >= 0, r < g, c >= 0, c < g else { continue }
            for i in 0..<inputs {
              total += x[(r * g + c) * inputs + i] * w[((o * inputs + i) * kernel + dr + reach) * kernel + dc + reach]
            }
          }
        }
        return total
      }
    }
  }
  let (X, W, B, DY) = (doubles(x), doubles(w), doubles(b), doubles(dy))
  #expect(difference(y, f(X, W, B)) < tolerance)
  #expect(difference(dx, finiteDifferences(X, DY) { f($0, W, B) }) < tolerance)
  #expect(
    difference(store.fileValues(of: layer.weight, in: store.gradients), finiteDifferences(W, DY) { f(X, $0, B) })
      < tolerance)
  if let bias = layer.bias {
    #expect(
      difference(store.fileValues(of: bias, in: store.gradients), finiteDifferences(B, DY) { f(X, W, $0) }) < tolerance)
  }
}

@Test(arguments: [true, false]) func linearAndLoRAGradientsAgreeWithFiniteDifferences(hasLoRA: Bool) throws {
  let (rows, inputs, outputs, rank) = (4, 5, 3, 2)
  let scale: Float = 0.7
  let store = ParameterStore()
  let a = store.declare("A", [rank, inputs], group: group, .zeros)
  let bb = store.declare("B", [outputs, rank], group: group, .zeros)
  let weight = store.declare("w", [outputs, inputs], group: group, .zeros)
  let bias = store.declare("b", [outputs], group: group, .zeros)
  try store.allocate(training: true)
  let layer = Linear(
    inputs: inputs, outputs: outputs, weight: .trained(weight), bias: .trained(bias),
    lora: hasLoRA ? LoRA(a: a, b: bb, rank: rank, scale: scale) : nil)
  let (x, dy) = (values(rows * inputs, seed: 13), values(rows * outputs, seed: 14))
  for (index, parameter) in [a, bb, weight, bias].enumerated() {
    store.set(parameter, fromFile: values(parameter.count, seed: 15 + index))
  }
  let room = [Float](repeating: 0, count: 64)
  let (y, dx) = with([x, dy, room, room, room, room]) { p -> ([Float], [Float]) in
    layer.forward(p[2], p[0], low: p[3], rows: rows)
    layer.backward(
      p[4], p[1], p[0], low: p[3], slot: GradientSlot(base: store.gradients.base, origin: 0), scratch: p[5], rows: rows)
    return (array(p[2], rows * outputs), array(p[4], rows * inputs))
  }
  func f(_ x: [Double], _ w: [Double], _ b: [Double], _ A: [Double], _ B: [Double]) -> [Double] {
    (0..<rows).flatMap { r in
      (0..<outputs).map { o in
        (0..<inputs).reduce(b[o]) { total, i in
          let update = hasLoRA ? (0..<rank).reduce(0) { $0 + B[o * rank + $1] * A[$1 * inputs + i] } * Double(scale) : 0
          return total + x[r * inputs + i] * (w[o * inputs + i] + update)
        }
      }
    }
  }
  func own(_ parameter: Parameter) -> [Double] { doubles(store.fileValues(of: parameter, in: store.values)) }
  func gradient(_ parameter: Parameter) -> [Float] { store.fileValues(of: parameter, in: store.gradients) }
  let (X, W, B0, A, B, DY) = (doubles(x), own(weight), own(bias), own(a), own(bb), doubles(dy))
  #expect(difference(y, f(X, W, B0, A, B)) < tolerance)
  #expect(difference(dx, finiteDifferences(X, DY) { f($0, W, B0, A, B) }) < tolerance)
  #expect(difference(gradient(weight), finiteDifferences(W, DY) { f(X, $0, B0, A, B) }) < tolerance)
  #expect(difference(gradient(bias), finiteDifferences(B0, DY) { f(X, W, $0, A, B) }) < tolerance)
  if hasLoRA {
    #expect(difference(gradient(a), finiteDifferences(A, DY) { f(X, W, B0, $0, B) }) < tolerance)
    #expect(difference(gradient(bb), finiteDifferences(B, DY) { f(X, W, B0, A, $0) }) < tolerance)
  }
}

@Test(arguments: [4, 5, 7]) func poolingGradientsAgreeWithFiniteDifferences(g: Int) {
  let C = 3
  let h = g / 2
  let x = values(g * g * C, seed: 20)
  let dy = values(h * h * C, seed: 21)
  let dMean = values(C, seed: 22)
  let room = [Float](repeating: 0, count: g * g * C)
  let winners = UnsafeMutablePointer<UInt8>.allocate(capacity: h * h * C)
  defer { winners.deallocate() }
  let (dMax, dAverage) = with([x, dy, dMean, room, room]) { p -> ([Float], [Float]) in
    maxPool(p[3], winners: winners, p[0], grid: g, channels: C)
    maxPoolBackward(p[4], p[1], winners: winners, grid: g, channels: C)
    let dMax = array(p[4], g * g * C)
    globalAveragePoolBackward(p[3], p[2], rows: g * g, channels: C)
    return (dMax, array(p[3], g * g * C))
  }
  let expected = finiteDifferences(doubles(x), doubles(dy)) { x in
    (0..<(h * h * C)).map { index in
      let (n, c) = index.quotientAndRemainder(dividingBy: C)
      let (r, q) = (2 * (n / h), 2 * (n % h))
      return [(r, q), (r, q + 1), (r + 1, q), (r + 1, q + 1)].map { x[($0.0 * g + $0.1) * C + c] }.max() ?? 0
    }
  }
  #expect(difference(dMax, expected) < tolerance)
  let mean = finiteDifferences(doubles(x), doubles(dMean)) { x in
    (0..<C).map { c in (0..<(g * g)).reduce(0) { $0 + x[$1 * C + c] } / Double(g * g) }
  }
  #expect(difference(dAverage, mean) < tolerance)
}

@Test func crossEntropyGradientAgreesWithFiniteDifferences() {
  let logits = values(7, seed: 23).map { $0 * 3 }
  let found = with([logits, logits]) { p -> [Float] in
    crossEntropyBackward(p[1], p[0], label: 2, classes: 7, scale: 0.25)
    return array(p[1], 7)
  }
  let expected = finiteDifferences(doubles(logits), [0.25]) { x in
    [log(x.reduce(0) { $0 + exp($1) }) - x[2]]
  }
  #expect(difference(found, expected) < tolerance)
}

@Test(arguments: [1, 2, 4]) func batchNormGradientsAgreeWithFiniteDifferencesForAnyNumberOfLanes(lanes: Int) throws {
  let (samples, rows, C) = (4, 3, 5)
  let store = ParameterStore()
  let norm = BatchNorm(store, "n", channels: C, group: group, lanes: lanes)
  try store.allocate(training: true)
  store.initialise(seed: 0)
  let (w, b) = (values(C, seed: 24), values(C, seed: 25))
  store.set(norm.weight, fromFile: w)
  store.set(norm.bias, fromFile: b)
  let count = samples * rows
  let (x, dy) = (values(count * C, seed: 26), values(count * C, seed: 27))
  let slot = GradientSlot(base: store.gradients.base, origin: 0)
  func lane(_ sample: Int) -> Int { sample * lanes / samples }
  let (y, dx) = with([x, dy, x]) { p -> ([Float], [Float]) in
    for s in 0..<samples { norm.addSums(lane: lane(s), p[0] + s * rows * C, rows: rows) }
    AllLanesHere().complete(norm.sums)
    norm.finishSums(count: count)
    norm.forward(p[2], p[0], relu: false, rows: count)
    let y = array(p[2], count * C)
    norm.sums.clear()
    for s in 0..<samples {
      norm.addBackwardSums(lane: lane(s), p[1] + s * rows * C, p[0] + s * rows * C, rows: rows)
    }
    for l in 0..<lanes { norm.writeGradients(lane: l, slot: slot) }
    AllLanesHere().complete(norm.sums)
    norm.finishBackwardSums(count: count)
    norm.backward(p[2], p[1], p[0], rows: count)
    return (y, array(p[2], count * C))
  }
  func f(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
    var result = x
    for c in 0..<C {
      let column = (0..<count).map { x[$0 * C + c] }
      let mean = column.reduce(0, +) / Double(count)
      let variance = column.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count)
      for n in 0..<count { result[n * C + c] = (column[n] - mean) / (variance + 1e-5).squareRoot() * w[c] + b[c] }
    }
    return result
  }
  let (X, W, B, DY) = (doubles(x), doubles(w), doubles(b), doubles(dy))
  #expect(difference(y, f(X, W, B)) < tolerance)
  #expect(difference(dx, finiteDifferences(X, DY) { f($0, W, B) }) < tolerance)
  #expect(
    difference(store.fileValues(of: norm.weight, in: store.gradients), finiteDifferences(W, DY) { f(X, $0, B) })
      < tolerance)
  #expect(
    difference(store.fileValues(of: norm.bias, in: store.gradients), finiteDifferences(B, DY) { f(X, W, $0) })
      < tolerance)
}

@Test func theGradientByTheRunningStatisticsAgreesWithFiniteDifferences() throws {
  let (rows, C) = (7, 5)
  let store = ParameterStore()
  let norm = BatchNorm(store, "n", channels: C, group: group, lanes: 1)
  try store.allocate(training: false)
  let (w, b, mean) = (values(C, seed: 28), values(C, seed: 29), values(C, seed: 30))
  let variance = values(C, seed: 31).map { 1.2 + $0 }
  store.set(norm.weight, fromFile: w)
  store.set(norm.bias, fromFile: b)
  norm.runningMean.values.update(from: mean, count: C)
  norm.runningVariance.values.update(from: variance, count: C)
  let (x, dy) = (values(rows * C, seed: 32), values(rows * C, seed: 33))
  let (y, dx) = with([x, dy, [Float](repeating: 0, count: C)]) { p -> ([Float], [Float]) in
    norm.infer(p[0], p[0], relu: false, rows: rows, scratch: p[2])
    norm.inferBackward(p[1], p[1], rows: rows)
    return (array(p[0], rows * C), array(p[1], rows * C))
  }
  func f(_ x: [Double]) -> [Double] {
    x.indices.map { index in
      let c = index % C
      return (x[index] - Double(mean[c])) / (Double(variance[c]) + 1e-5).squareRoot() * Double(w[c]) + Double(b[c])
    }
  }
  #expect(difference(y, f(doubles(x))) < tolerance)
  #expect(difference(dx, finiteDifferences(doubles(x), doubles(dy), f)) < tolerance)
}

/// Statistics change with the update, not before it.
@Test func aRefusedStepLeavesRunningStatisticsUntouched() throws {
  let store = ParameterStore()
  let norm = BatchNorm(store, "n", channels: 2, group: group, lanes: 1)
  try store.allocate(training: true)
  store.initialise(seed: 0)
  with([values(6, seed: 1)]) { p in
    norm.addSums(lane: 0, p[0], rows: 3)
    AllLanesHere().complete(norm.sums)
    norm.finishSums(count: 3)
  }
  norm.discard()
  norm.commit()
  #expect(norm.runningMean.values[0] == 0 && norm.runningVariance.values[0] == 1)
}
