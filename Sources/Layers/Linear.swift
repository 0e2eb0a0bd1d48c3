import Tensor

/// The update s·B·A of a frozen weight.
public struct LoRA: Sendable {
  /// [rank, inputs].
  public let a: Parameter
  /// [outputs, rank].
  public let b: Parameter
  public let rank: Int
  public let scale: Float

  public init(a: Parameter, b: Parameter, rank: Int, scale: Float) {
    self.a = a
    self.b = b
    self.rank = rank
    self.scale = scale
  }
}

/// A linear map y = x Wᵀ + b, frozen or trained, with an optional low-rank update (docs/model.md,
/// "Encoder and LoRA").
public struct Linear: @unchecked Sendable {
  /// Where a weight or bias comes from.
  public enum Source: @unchecked Sendable {
    case frozen(ConstFloats)
    case trained(Parameter)
    /// A frozen weight whose forward product is made of its packed values: of a map with a bias, for the number of rows
    /// and the stride that the product was made for.
    case packed(ConstFloats, PackedWeight)

    public var values: ConstFloats {
      switch self {
      case .frozen(let values): values
      case .trained(let parameter): ConstFloats(parameter.values)
      case .packed(let values, _): values
      }
    }
  }

  public let inputs: Int
  public let outputs: Int
  public let weight: Source
  public let bias: Source?
  public let lora: LoRA?

  public init(inputs: Int, outputs: Int, weight: Source, bias: Source?, lora: LoRA? = nil) {
    self.inputs = inputs
    self.outputs = outputs
    self.weight = weight
    self.bias = bias
    self.lora = lora
    precondition(packed == nil || bias != nil)
  }

  /// A trained map, named `<name>.weight` [outputs, inputs] and `<name>.bias` [outputs].
  public init(
    _ store: ParameterStore, _ name: String, inputs: Int, outputs: Int, group: ParameterGroup,
    weight: Initialiser, bias: Initialiser?
  ) {
    self.init(
      inputs: inputs, outputs: outputs,
      weight: .trained(store.declare("\(name).weight", [outputs, inputs], group: group, weight)),
      bias: bias.map { .trained(store.declare("\(name).bias", [outputs], group: group, $0)) })
  }

  /// What the forward product takes where the weight is packed.
  public var packed: PackedWeight? {
    if case .packed(_, let weight) = weight { return weight }
    return nil
  }

  /// Whether a backward pass needs the map's input.
  public var isTrained: Bool {
    if case .trained = weight { return true }
    return lora != nil
  }

  /// The floats that LoRA keeps for the backward pass of one row: x Aᵀ.
  public var lowRank: Int { lora?.rank ?? 0 }

  /// y [rows, outputs] = x [rows, inputs]·Wᵀ + b + s·(x Aᵀ) Bᵀ, and a residual where given.
  ///
  /// - Parameters:
  ///   - residual: [rows, outputs]; then y has no stride, and there is a bias.
  ///   - low: [rows, rank], written with x Aᵀ; needed where there is LoRA.
  ///   - strideY: between rows of y.
  public func forward(
    _ y: Floats, _ x: ConstFloats, residual: ConstFloats? = nil, low: Floats?, rows: Int, strideY: Int? = nil
  ) {
    if let packed, let bias {
      precondition(packed.product.shape.rows == rows && packed.product.shape.strideY == strideY ?? outputs)
      packed.product.run(y, x, packed: packed.packed, bias: bias.values)
      if let residual { accumulate(y, residual, rows * outputs) }
    } else {
      forwardUnpacked(y, x, residual: residual, rows: rows, strideY: strideY)
    }
    if let lora, let low {
      multiplyTransposed(low, x, lora.a.values, m: rows, n: lora.rank, k: inputs)
      multiplyTransposed(
        y, low, lora.b.values, m: rows, n: outputs, k: lora.rank, strideY: strideY, scale: lora.scale, beta: 1)
    }
  }

  /// `forward` without LoRA. The product is added to what stands there already, which costs it nothing.
  private func forwardUnpacked(_ y: Floats, _ x: ConstFloats, residual: ConstFloats?, rows: Int, strideY: Int?) {
    if let bias, let residual {
      precondition(strideY == nil)
      addRow(y, residual, bias.values, rows: rows, columns: outputs)
    } else if let bias {
      repeatRow(y, bias.values, rows: rows, columns: outputs, stride: strideY)
    }
    multiplyTransposed(
      y, x, weight.values, m: rows, n: outputs, k: inputs, strideY: strideY, beta: bias == nil ? 0 : 1)
  }

  /// The gradient of `forward`. Weight gradients are added to the slot, sample by sample.
  ///
  /// - Parameters:
  ///   - dx: [rows, inputs], or nil where nothing below is trained.
  ///   - adding: whether dx is added to, or overwritten.
  ///   - scratch: [rows, rank], where there is LoRA.
  public func backward(
    _ dx: Floats?, adding: Bool = false, _ dy: ConstFloats, _ x: ConstFloats, low: ConstFloats?,
    slot: GradientSlot, scratch: Floats?, rows: Int, strideDY: Int? = nil
  ) {
    if case .trained(let parameter) = weight {
      multiplyOuter(slot.of(parameter), dy, x, m: rows, n: outputs, k: inputs, strideDY: strideDY)
    }
    if case .trained(let parameter) = bias {
      accumulateRows(slot.of(parameter), dy, rows: rows, columns: outputs, stride: strideDY)
    }
    if let dx {
      multiply(
        dx, dy, weight.values, m: rows, n: outputs, k: inputs, strideDY: strideDY, beta: adding ? 1 : 0)
    }
    if let lora, let low, let scratch {
      multiplyOuter(
        slot.of(lora.b), dy, low, m: rows, n: outputs, k: lora.rank, strideDY: strideDY, scale: lora.scale)
      multiply(
        scratch, dy, lora.b.values, m: rows, n: outputs, k: lora.rank, strideDY: strideDY, scale: lora.scale)
      multiplyOuter(slot.of(lora.a), scratch, x, m: rows, n: lora.rank, k: inputs)
      if let dx { multiply(dx, scratch, lora.a.values, m: rows, n: lora.rank, k: inputs, beta: 1) }
    }
  }
}
