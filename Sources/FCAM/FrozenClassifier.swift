import Branches
import Tensor

/// The classifier of class activation maps that a decoder explains: global average pooling and a linear map on h⁽ᵏ⁾,
/// whose weights another run has trained.
public final class FrozenClassifier: @unchecked Sendable {
  /// C.
  public let classes: Int
  /// D.
  let width: Int
  private let weight: Buffer
  private let bias: Buffer
  /// The digest of the run's tensors (`model_sha256`).
  public let sha256: String

  /// - Parameters:
  ///   - weight: [C, D].
  ///   - bias: [C].
  public init(weight: [Float], bias: [Float], sha256: String) {
    precondition(!bias.isEmpty && weight.count % bias.count == 0)
    classes = bias.count
    width = weight.count / bias.count
    self.weight = Buffer(weight.count)
    self.bias = Buffer(bias.count)
    self.weight.base.update(from: weight, count: weight.count)
    self.bias.base.update(from: bias, count: bias.count)
    self.sha256 = sha256
  }

  /// logits [C] of h [N, D].
  ///
  /// - Parameter pooled: [D], overwritten.
  func classify(_ logits: Floats, pooled: Floats, h: ConstFloats, cells N: Int) {
    globalAveragePool(pooled, h, rows: N, channels: width)
    copy(logits, bias.base, classes)
    multiplyTransposed(logits, pooled, weight.base, m: 1, n: classes, k: width, beta: 1)
  }

  /// map [N] = Σ_d W[label, d]·h[n, d].
  func activationMap(_ map: Floats, of label: Int, h: ConstFloats, cells N: Int) {
    multiplyTransposed(map, h, weight.base + label * width, m: N, n: 1, k: width)
  }
}
