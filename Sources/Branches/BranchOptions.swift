import Tensor

/// What shapes an attention branch (docs/model.md, "Attention branch"); the settings of the same names.
public struct AttentionOptions: Equatable, Sendable {
  public enum Head: String, Sendable {
    /// α = σ(BN(conv(F))).
    case abn
    /// α = the per-image min-max of conv1×1(F).
    case minmax
  }

  public var head = Head.abn
  /// 3 or 1, of the C→1 convolution of head `abn`.
  public var kernel = 3
  public var dropout = 0.0
  public var padding = Padding.zeros

  public init() {}
}

/// What shapes a perception branch (docs/model.md, "Perception branch"); the settings of the same names.
public struct PerceptionOptions: Equatable, Sendable {
  public enum InputNorm: String, Sendable {
    case none
    case layernorm
  }

  public var channels = [256, 128]
  public var dropout = 0.0
  public var inputNorm = InputNorm.none

  public init() {}
}
