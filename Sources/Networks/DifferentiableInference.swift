import Tensor

/// An inference whose logits can be differentiated with respect to the features of the patches that its classifier
/// reads: what methods by gradients need. Whatever weighs those features, such as α, counts as a constant, and batch
/// norms as what they are in an inference.
public protocol DifferentiableInference: NetworkInference {
  /// The features [N, D], before anything weighs them; after `run`.
  var activations: ConstFloats { get }

  /// The gradient [N, D] of a class's logit with respect to `activations`, after `run`; lies there until the next call.
  ///
  /// - Parameter label: the class, from 0.
  func gradient(ofLogit label: Int) -> ConstFloats
}
