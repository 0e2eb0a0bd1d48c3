import Tensor

/// A convolution of stride 1 on a token-major map [g·g, inputs] that keeps the grid.
public struct Convolution: Sendable {
  public let inputs: Int
  public let outputs: Int
  /// 1 or 3.
  public let kernel: Int
  public let padding: Padding
  public let weight: Parameter
  public let bias: Parameter?

  /// Named `<name>.weight` [outputs, inputs, kernel, kernel] and, where asked, `<name>.bias` [outputs].
  public init(
    _ store: ParameterStore, _ name: String, inputs: Int, outputs: Int, kernel: Int, padding: Padding,
    group: ParameterGroup, initialiser: Initialiser, bias: Initialiser? = nil
  ) {
    precondition(kernel == 1 || kernel == 3)
    self.inputs = inputs
    self.outputs = outputs
    self.kernel = kernel
    self.padding = padding
    weight = store.declare(
      "\(name).weight", [outputs, inputs, kernel, kernel], group: group, initialiser, memoryOrder: .channelsLast)
    self.bias = bias.map { store.declare("\(name).bias", [outputs], group: group, $0) }
  }

  /// Kaiming-normal, fan-out, ReLU gain: σ = √(2 / (outputs·kernel²)).
  public static func kaimingFanOut(outputs: Int, kernel: Int) -> Initialiser {
    .normal((2 / Double(outputs * kernel * kernel)).squareRoot())
  }

  /// The floats of scratch that a thread needs, forward or backward: the triples, and their gradient.
  public func scratchCount(grid g: Int) -> Int { kernel == 3 ? 2 * triplesCount(grid: g) : 0 }

  private func triplesCount(grid g: Int) -> Int { (tripleRows(grid: g) * 3 * inputs + 15) / 16 * 16 }

  /// y [g·g, outputs] of x [g·g, inputs], each position times its factor where given (kernel 3 only).
  public func forward(_ y: Floats, _ x: ConstFloats, factors: ConstFloats? = nil, grid g: Int, scratch: Floats) {
    if kernel == 3 {
      gatherTriples(scratch, x, factors: factors, grid: g, channels: inputs, padding: padding)
      convolve(y, scratch, weight: weight.values, grid: g, inputs: inputs, outputs: outputs)
    } else {
      precondition(factors == nil)
      multiplyTransposed(y, x, weight.values, m: g * g, n: outputs, k: inputs)
    }
    if let bias { addRow(y, y, bias.values, rows: g * g, columns: outputs) }
  }

  /// The gradient of `forward` with respect to what is convolved (x times its factors); dx [g·g, inputs] is
  /// overwritten, or left out where nil.
  public func backward(
    _ dx: Floats?, _ dy: ConstFloats, _ x: ConstFloats, factors: ConstFloats? = nil, grid g: Int, slot: GradientSlot,
    scratch: Floats
  ) {
    if let bias { accumulateRows(slot.of(bias), dy, rows: g * g, columns: outputs) }
    if kernel == 3 {
      gatherTriples(scratch, x, factors: factors, grid: g, channels: inputs, padding: padding)
      let dTriples = scratch + triplesCount(grid: g)
      convolveBackward(
        dTriples: dx == nil ? nil : dTriples, dWeight: slot.of(weight), dy, scratch, weight: weight.values, grid: g,
        inputs: inputs, outputs: outputs)
      if let dx { gatherTriplesBackward(dx, dTriples, grid: g, channels: inputs, padding: padding) }
    } else {
      multiplyOuter(slot.of(weight), dy, x, m: g * g, n: outputs, k: inputs)
      if let dx { multiply(dx, dy, weight.values, m: g * g, n: outputs, k: inputs) }
    }
  }

  /// The gradient of `forward` with respect to what is convolved, and to no weight: dx [g·g, inputs] is overwritten.
  public func backwardInput(_ dx: Floats, _ dy: ConstFloats, grid g: Int, scratch: Floats) {
    if kernel == 3 {
      convolveInputBackward(scratch, dy, weight: weight.values, grid: g, inputs: inputs, outputs: outputs)
      gatherTriplesBackward(dx, scratch, grid: g, channels: inputs, padding: padding)
    } else {
      multiply(dx, dy, weight.values, m: g * g, n: outputs, k: inputs)
    }
  }
}
