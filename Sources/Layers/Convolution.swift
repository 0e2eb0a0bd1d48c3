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

  /// Columns of the gathered neighbourhood.
  private var gathered: Int { kernel * kernel * inputs }

  /// The floats of scratch that a thread needs, forward or backward.
  public func scratchCount(grid g: Int) -> Int { kernel == 3 ? 2 * (g * g * gathered + 16) : 0 }

  /// y [g·g, outputs] of x [g·g, inputs].
  public func forward(_ y: Floats, _ x: ConstFloats, grid g: Int, scratch: Floats) {
    var source = x
    if kernel == 3 {
      gatherNeighbours(scratch, x, grid: g, channels: inputs, padding: padding)
      source = ConstFloats(scratch)
    }
    if let bias { repeatRow(y, bias.values, rows: g * g, columns: outputs) }
    multiplyTransposed(
      y, source, weight.values, m: g * g, n: outputs, k: gathered, beta: bias == nil ? 0 : 1)
  }

  /// The gradient of `forward`; dx [g·g, inputs] is overwritten, or left out where nil.
  public func backward(
    _ dx: Floats?, _ dy: ConstFloats, _ x: ConstFloats, grid g: Int, slot: GradientSlot, scratch: Floats
  ) {
    var source = x
    if kernel == 3 {
      gatherNeighbours(scratch, x, grid: g, channels: inputs, padding: padding)
      source = ConstFloats(scratch)
    }
    multiplyOuter(slot.of(weight), dy, source, m: g * g, n: outputs, k: gathered)
    if let bias { accumulateRows(slot.of(bias), dy, rows: g * g, columns: outputs) }
    guard let dx else { return }
    if kernel == 1 {
      multiply(dx, dy, weight.values, m: g * g, n: outputs, k: gathered)
    } else {
      let dColumns = scratch + (g * g * gathered + 16)
      multiply(dColumns, dy, weight.values, m: g * g, n: outputs, k: gathered)
      clear(dx, g * g * inputs)
      gatherNeighboursBackward(dx, dColumns, grid: g, channels: inputs, padding: padding)
    }
  }
}
