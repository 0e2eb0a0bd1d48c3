import Branches
import Encoder
import Networks

/// Everything that shapes the model (docs/model.md); the settings of the same names.
public struct ModelOptions: Equatable, Sendable {
  public struct Side: Equatable, Sendable {
    /// d.
    public var width = 240
    public var heads = 6
    /// l.
    public var layers = 8
    /// The encoder layer that is added before side layer 1, 2, …
    public var fusion = [0, 1, 2, 3]
    public init() {}
  }

  public var encoder: EncoderOptions
  public var side = Side()
  public var attention = AttentionOptions()
  public var perception = PerceptionOptions()
  /// C.
  public var classes: Int
  /// λ, the weight of the attention branch's loss.
  public var lambda = 1.0 / 15
  /// How many lanes a global batch is cut into.
  public var lanes = 4
  /// Whether epochs alternate between the phases; else every epoch is `alpha` (ablation iii).
  public var alternates = true
  /// The phase of epoch 1, where they do.
  public var firstPhase = Phase.alpha
  /// The phases that train LoRA; in others it stays as it is.
  public var loraPhases: Set<Phase> = [.alpha, .ones]

  public init(encoder: EncoderOptions, classes: Int) {
    self.encoder = encoder
    self.classes = classes
  }
}
