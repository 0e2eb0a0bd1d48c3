/// Maps that say nothing of the trained model, whose mean IoU stands in every summary beside the method's.
public enum Control: String, CaseIterable, Sendable {
  case centredGaussian = "centred_gaussian"
  case random
  /// The model's own maps with every trained tensor as before training.
  case randomisedModel = "randomised_model"

  public var title: String {
    switch self {
    case .centredGaussian: "a centred Gaussian"
    case .random: "random maps"
    case .randomisedModel: "the model before training"
    }
  }

  /// The rules by which it is measured: `valid` would need maps of the validation split.
  public static let rules: [IoURule] = [.half, .meanStd]
}
