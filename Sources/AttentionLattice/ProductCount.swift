import Layers
import Tensor

/// The matrix products that the model's work takes, from its shapes: what `ala bench` and the training log count.

/// Y [m, n] = X [m, k]·(…): one shape of product.
public struct ProductShape: Hashable, Sendable {
  public enum Form: Sendable {
    /// X·Wᵀ.
    case forward
    /// dY·W.
    case input
    /// dYᵀ·X.
    case weight
  }

  public let form: Form
  public let m: Int
  public let n: Int
  public let k: Int
  public var precision = Precision.float32

  public var flop: Double { 2 * Double(m) * Double(n) * Double(k) }
}

/// Products of one sample, by shape.
public struct ProductCount: Sendable {
  public private(set) var counts: [ProductShape: Int] = [:]

  /// Floating-point operations of a sample.
  public var flop: Double { counts.reduce(0) { $0 + $1.key.flop * Double($1.value) } }

  public init() {}

  mutating func add(_ form: ProductShape.Form, m: Int, n: Int, k: Int, times: Int = 1, precision: Precision = .float32)
  {
    guard m > 0, n > 0, k > 0 else { return }
    counts[ProductShape(form: form, m: m, n: n, k: k, precision: precision), default: 0] += times
  }

  /// A linear map, forward or backward.
  mutating func linear(_ map: Linear, rows: Int, isBackward: Bool, needsInput: Bool = true, isTrained: Bool) {
    let (i, o, r) = (map.inputs, map.outputs, map.lowRank)
    if isBackward {
      if isTrained { add(.weight, m: o, n: i, k: rows) }
      if needsInput { add(.input, m: rows, n: i, k: o) }
      add(.weight, m: o, n: r, k: rows)
      add(.input, m: rows, n: r, k: o)
      add(.weight, m: r, n: i, k: rows)
      if needsInput { add(.input, m: rows, n: i, k: r) }
    } else {
      add(.forward, m: rows, n: o, k: i, precision: map.rounded == nil ? .float32 : .bfloat16)
      add(.forward, m: rows, n: r, k: i)
      add(.forward, m: rows, n: o, k: r)
    }
  }

  mutating func block(
    _ block: TransformerBlock, tokens T: Int, isBackward: Bool, needsInput: Bool = true, isTrained: Bool
  ) {
    for map in [block.q, block.k, block.v] {
      linear(map, rows: T, isBackward: isBackward, needsInput: needsInput, isTrained: isTrained)
    }
    for map in [block.out, block.fc1, block.fc2] {
      linear(map, rows: T, isBackward: isBackward, isTrained: isTrained)
    }
    let head = block.width / block.heads
    if isBackward {
      add(.weight, m: T, n: head, k: T, times: 2 * block.heads)
      add(.forward, m: T, n: T, k: head, times: block.heads)
      add(.input, m: T, n: head, k: T, times: block.heads)
    } else {
      add(.forward, m: T, n: T, k: head, times: block.heads)
      add(.input, m: T, n: head, k: T, times: block.heads)
    }
  }

  mutating func convolution(_ map: Convolution, grid g: Int, isBackward: Bool, needsInput: Bool = true) {
    let depth = map.kernel * map.kernel * map.inputs
    if isBackward {
      add(.weight, m: map.outputs, n: depth, k: g * g)
      if needsInput { add(.input, m: g * g, n: depth, k: map.outputs) }
    } else {
      add(.forward, m: g * g, n: map.outputs, k: depth)
    }
  }
}

extension LatticeModel {
  /// The frozen blocks below LoRA (all, where `whole`), from pixels.
  public func encoderProducts(whole: Bool) -> ProductCount {
    var count = ProductCount()
    count.add(.forward, m: encoder.patchCount, n: encoder.width, k: encoder.patchValues)
    for block in encoder.blocks.prefix(whole ? encoder.depth : encoder.firstLoRABlock - 1) {
      count.block(block, tokens: encoder.tokens, isBackward: false, isTrained: false)
    }
    return count
  }

  /// Inference from pixels.
  public func inferenceProducts() -> ProductCount {
    var count = encoderProducts(whole: true)
    branches(&count, .alpha, isBackward: false)
    return count
  }

  /// A training step's share of a sample.
  ///
  /// - Parameter isLive: from pixels; else from cached features.
  public func trainingProducts(_ phase: Phase, isLive: Bool) -> ProductCount {
    var count = isLive ? encoderProducts(whole: false) : ProductCount()
    let live = encoder.blocks.dropFirst(encoder.firstLoRABlock - 1)
    for (index, block) in live.enumerated() {
      count.block(block, tokens: encoder.tokens, isBackward: false, isTrained: false)
      count.block(block, tokens: encoder.tokens, isBackward: true, needsInput: index > 0, isTrained: false)
    }
    branches(&count, phase, isBackward: false)
    branches(&count, phase, isBackward: true)
    return count
  }

  private func branches(_ count: inout ProductCount, _ phase: Phase, isBackward: Bool) {
    for (index, stage) in perception.stages.enumerated() {
      count.convolution(
        stage.convolution, grid: stage.grid, isBackward: isBackward,
        needsInput: index > 0 || phase.usesAttention || encoder.firstLoRABlock <= encoder.depth)
    }
    count.linear(perception.classifier, rows: 1, isBackward: isBackward, isTrained: true)
    guard phase.usesAttention else { return }
    let N = encoder.patchCount
    count.linear(side.patch, rows: N, isBackward: isBackward, needsInput: false, isTrained: true)
    for fusion in side.fusions {
      count.linear(
        fusion.linear, rows: N, isBackward: isBackward, needsInput: fusion.layer >= encoder.firstLoRABlock,
        isTrained: true)
    }
    for layer in side.layers { count.block(layer, tokens: N, isBackward: isBackward, isTrained: true) }
    count.convolution(attention.stem, grid: encoder.grid, isBackward: isBackward)
    count.convolution(attention.maps, grid: encoder.grid, isBackward: isBackward)
    count.convolution(attention.alpha, grid: encoder.grid, isBackward: isBackward)
    count.linear(attention.classifier, rows: 1, isBackward: isBackward, isTrained: true)
  }
}
