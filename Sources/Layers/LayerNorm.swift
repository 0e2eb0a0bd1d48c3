import Tensor

/// Layer normalisation over the last axis, frozen, trained or without affine part.
public struct LayerNorm: @unchecked Sendable {
  public let width: Int
  public let eps: Float
  public let weight: Linear.Source?
  public let bias: Linear.Source?

  public init(width: Int, eps: Float, weight: Linear.Source?, bias: Linear.Source?) {
    self.width = width
    self.eps = eps
    self.weight = weight
    self.bias = bias
  }

  /// A trained norm, named `<name>.weight` and `<name>.bias`, from 1 and 0.
  public init(_ store: ParameterStore, _ name: String, width: Int, eps: Float, group: ParameterGroup) {
    self.init(
      width: width, eps: eps,
      weight: .trained(store.declare("\(name).weight", [width], group: group, .ones)),
      bias: .trained(store.declare("\(name).bias", [width], group: group, .zeros)))
  }

  /// y [rows, width] = the normalised x; mean and inverse [rows] are kept for the backward pass where given.
  public func forward(_ y: Floats, _ x: ConstFloats, mean: Floats?, inverse: Floats?, rows: Int) {
    layerNorm(
      y, x, weight: weight?.values, bias: bias?.values, eps: eps, mean: mean, inverse: inverse, rows: rows,
      columns: width)
  }

  /// y [rows, width] once more, from the statistics that `forward` has kept.
  public func forwardAgain(_ y: Floats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats, rows: Int) {
    layerNormApply(
      y, x, weight: weight?.values, bias: bias?.values, mean: mean, inverse: inverse, rows: rows, columns: width)
  }

  /// dx [rows, width] += the gradient of `forward`; the affine part's gradients are added to the slot.
  public func backward(
    _ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, mean: ConstFloats, inverse: ConstFloats,
    slot: GradientSlot, rows: Int
  ) {
    var dWeight: Floats?
    var dBias: Floats?
    if case .trained(let w) = weight, case .trained(let b) = bias {
      dWeight = slot.of(w)
      dBias = slot.of(b)
    }
    layerNormBackward(
      dx, dWeight: dWeight, dBias: dBias, dy, x, weight: weight?.values, mean: mean, inverse: inverse,
      rows: rows, columns: width)
  }
}
