import Foundation
import Lanes
import Layers
import Tensor
import TestSupport
import Testing

/// Forward and backward passes against PyTorch in double (`scripts/fixtures/layers.py`).

private let fixture: Result<Fixture, Error> = Result { try Fixture("layers.safetensors") }
private let tolerance = 1e-5

private func buffer(_ name: String, _ fixture: Fixture) throws -> Buffer {
  let values = try fixture.floats(name)
  let buffer = Buffer(values.count)
  for (index, value) in values.enumerated() { buffer.base[index] = value }
  return buffer
}

private func expect(_ found: Buffer, _ name: String, _ fixture: Fixture) throws {
  let expected = try fixture.doubles(name)
  let values = Array(UnsafeBufferPointer(start: found.base, count: expected.count))
  let error = difference(values, expected)
  noteDifference("single layers, forward and backward", reference: "PyTorch, double", error, limit: tolerance)
  #expect(error < tolerance, "\(name)")
}

@Test func pointwiseFunctionsAgreeWithPyTorch() throws {
  let f = try fixture.get()
  for (name, forward, backward) in [
    ("gelu", gelu as (Floats, ConstFloats, Int) -> Void, geluAndDerivative as (Floats, Floats, Int) -> Void),
    ("quickgelu", quickGELU, quickGELUAndDerivative),
  ] {
    let (x, dy) = (try buffer("\(name)/x", f), try buffer("\(name)/dy", f))
    let y = Buffer(x.count)
    forward(y.base, x.base, x.count)
    try expect(y, "\(name)/y", f)
    backward(y.base, x.base, x.count)
    try expect(y, "\(name)/y", f)
    scale(dy.base, by: x.base, x.count)
    try expect(dy, "\(name)/d_x", f)
  }
  let (x, dy) = (try buffer("sigmoid/x", f), try buffer("sigmoid/dy", f))
  let y = Buffer(x.count)
  sigmoid(y.base, x.base, x.count)
  try expect(y, "sigmoid/y", f)
  sigmoidBackward(dy.base, dy.base, y.base, x.count)
  try expect(dy, "sigmoid/d_x", f)
}

@Test func layerNormAgreesWithPyTorch() throws {
  let f = try fixture.get()
  let (x, w, b, dy) = (
    try buffer("layer_norm/x", f), try buffer("layer_norm/w", f), try buffer("layer_norm/b", f),
    try buffer("layer_norm/dy", f)
  )
  let (y, dx, dw, db, mean, inverse) = (
    Buffer(x.count), Buffer(x.count), Buffer(37), Buffer(37), Buffer(5), Buffer(5)
  )
  layerNorm(
    y.base, x.base, weight: w.base, bias: b.base, eps: 1e-5, mean: mean.base, inverse: inverse.base, rows: 5,
    columns: 37)
  try expect(y, "layer_norm/y", f)
  layerNormBackward(
    dx.base, dWeight: dw.base, dBias: db.base, dy.base, x.base, weight: w.base, mean: mean.base, inverse: inverse.base,
    rows: 5, columns: 37)
  try expect(dx, "layer_norm/d_x", f)
  try expect(dw, "layer_norm/d_w", f)
  try expect(db, "layer_norm/d_b", f)
}

@Test(.eachLibrary) func attentionAgreesWithPyTorch() throws {
  let f = try fixture.get()
  let (qkv, dy) = (try buffer("attention/qkv", f), try buffer("attention/dy", f))
  let (T, D, heads) = (11, 21, 3)
  let (y, p, dqkv, scratch) = (
    Buffer(T * D), Buffer(heads * T), Buffer(T * 3 * D), Buffer(2 * attentionScratchCount(tokens: T))
  )
  attention(y.base, logSums: p.base, qkv.base, scratch: scratch.base, tokens: T, width: D, heads: heads)
  try expect(y, "attention/y", f)
  attentionBackward(
    dqkv.base, dy.base, logSums: p.base, qkv.base, scratch: scratch.base, tokens: T, width: D, heads: heads)
  try expect(dqkv, "attention/d_qkv", f)
}

@Test(.eachLibrary) func linearMapsAgreeWithPyTorchWithAndWithoutLoRA() throws {
  let f = try fixture.get()
  for name in ["linear", "lora"] {
    let store = ParameterStore()
    let a = store.declare("A", [3, 19], group: group, .zeros)
    let b = store.declare("B", [13, 3], group: group, .zeros)
    let weight = store.declare("w", [13, 19], group: group, .zeros)
    let bias = store.declare("b", [13], group: group, .zeros)
    try store.allocate(training: true)
    store.set(weight, fromFile: try f.floats("\(name)/w"))
    store.set(bias, fromFile: try f.floats("\(name)/b"))
    if name == "lora" {
      store.set(a, fromFile: try f.floats("lora/A"))
      store.set(b, fromFile: try f.floats("lora/B"))
    }
    let layer = Linear(
      inputs: 19, outputs: 13, weight: .trained(weight), bias: .trained(bias),
      lora: name == "lora" ? LoRA(a: a, b: b, rank: 3, scale: 0.5) : nil)
    let (x, dy, y, dx, low, scratch) = (
      try buffer("\(name)/x", f), try buffer("\(name)/dy", f), Buffer(7 * 13), Buffer(7 * 19), Buffer(21), Buffer(21)
    )
    layer.forward(y.base, x.base, low: low.base, rows: 7)
    try expect(y, "\(name)/y", f)
    layer.backward(
      dx.base, dy.base, x.base, low: low.base, slot: GradientSlot(base: store.gradients.base, origin: 0),
      scratch: scratch.base, rows: 7)
    try expect(dx, "\(name)/d_x", f)
    for (parameter, key) in [(weight, "w"), (bias, "b")] + (name == "lora" ? [(a, "A"), (b, "B")] : []) {
      let found = store.fileValues(of: parameter, in: store.gradients)
      #expect(difference(found, try f.doubles("\(name)/d_\(key)")) < tolerance, "\(name) \(key)")
    }
  }
}

@Test(.eachLibrary, arguments: ["conv3_zeros", "conv3_replicate", "conv1"]) func convolutionsAgreeWithPyTorch(
  name: String
) throws {
  let f = try fixture.get()
  let store = ParameterStore()
  let layer = Convolution(
    store, "c", inputs: 6, outputs: 4, kernel: name == "conv1" ? 1 : 3,
    padding: name.hasSuffix("replicate") ? .replicate : .zeros, group: group, initialiser: .zeros, bias: .zeros)
  try store.allocate(training: true)
  store.set(layer.weight, fromFile: try f.floats("\(name)/w"))
  if let bias = layer.bias { store.set(bias, fromFile: try f.floats("\(name)/b")) }
  let (x, dy, y, dx) = (try buffer("\(name)/x", f), try buffer("\(name)/dy", f), Buffer(100), Buffer(150))
  let scratch = Buffer(layer.scratchCount(grid: 5) + 16)
  layer.forward(y.base, x.base, grid: 5, scratch: scratch.base)
  try expect(y, "\(name)/y", f)
  layer.backward(
    dx.base, dy.base, x.base, grid: 5, slot: GradientSlot(base: store.gradients.base, origin: 0), scratch: scratch.base)
  try expect(dx, "\(name)/d_x", f)
  #expect(difference(store.fileValues(of: layer.weight, in: store.gradients), try f.doubles("\(name)/d_w")) < tolerance)
}

@Test func poolingAgreesWithPyTorch() throws {
  let f = try fixture.get()
  for g in [7, 6] {
    let h = g / 2
    let (x, dy) = (try buffer("max_pool_\(g)/x", f), try buffer("max_pool_\(g)/dy", f))
    let (y, dx) = (Buffer(h * h * 18), Buffer(g * g * 18))
    let winners = UnsafeMutablePointer<UInt8>.allocate(capacity: h * h * 18)
    defer { winners.deallocate() }
    maxPool(y.base, winners: winners, x.base, grid: g, channels: 18)
    try expect(y, "max_pool_\(g)/y", f)
    maxPoolBackward(dx.base, dy.base, winners: winners, grid: g, channels: 18)
    try expect(dx, "max_pool_\(g)/d_x", f)
  }
  let (x, dy, y, dx) = (
    try buffer("average_pool/x", f), try buffer("average_pool/dy", f), Buffer(18), Buffer(49 * 18)
  )
  globalAveragePool(y.base, x.base, rows: 49, channels: 18)
  try expect(y, "average_pool/y", f)
  globalAveragePoolBackward(dx.base, dy.base, rows: 49, channels: 18)
  try expect(dx, "average_pool/d_x", f)
}

@Test func batchNormAgreesWithPyTorch() throws {
  let f = try fixture.get()
  let store = ParameterStore()
  let norm = BatchNorm(store, "n", channels: 18, group: group, lanes: 4)
  try store.allocate(training: true)
  store.set(norm.weight, fromFile: try f.floats("batch_norm/w"))
  store.set(norm.bias, fromFile: try f.floats("batch_norm/b"))
  for (index, value) in try f.floats("batch_norm/rm").enumerated() { norm.runningMean.values[index] = value }
  for (index, value) in try f.floats("batch_norm/rv").enumerated() { norm.runningVariance.values[index] = value }
  let (x, dy, y) = (try buffer("batch_norm/x", f), try buffer("batch_norm/dy", f), Buffer(40 * 18))
  for lane in 0..<4 { norm.addSums(lane: lane, x.base + lane * 180, rows: 10) }
  AllLanesHere().complete(norm.sums)
  norm.finishSums(count: 40)
  norm.forward(y.base, x.base, relu: false, rows: 40)
  try expect(y, "batch_norm/y", f)
  norm.sums.clear()
  for lane in 0..<4 { norm.addBackwardSums(lane: lane, dy.base + lane * 180, x.base + lane * 180, rows: 10) }
  AllLanesHere().complete(norm.sums)
  norm.finishBackwardSums(count: 40)
  norm.backward(y.base, dy.base, x.base, rows: 40)
  try expect(y, "batch_norm/d_x", f)
  norm.commit()
  #expect(difference((0..<18).map { norm.runningMean.values[$0] }, try f.doubles("batch_norm/new_rm")) < tolerance)
  #expect(difference((0..<18).map { norm.runningVariance.values[$0] }, try f.doubles("batch_norm/new_rv")) < tolerance)
}

@Test func crossEntropyAgreesWithPyTorch() throws {
  let f = try fixture.get()
  let logits = try buffer("cross_entropy/logits", f)
  let labels = try f.doubles("cross_entropy/labels").map { Int($0) }
  let gradient = Buffer(36)
  var loss = 0.0
  for (row, label) in labels.enumerated() {
    loss += crossEntropy(logits.base + row * 9, label: label, classes: 9) / 4
    crossEntropyBackward(gradient.base + row * 9, logits.base + row * 9, label: label, classes: 9, scale: 0.25)
  }
  #expect(abs(loss - (try f.doubles("cross_entropy/loss")[0])) < 1e-6)
  try expect(gradient, "cross_entropy/d_logits", f)
}
