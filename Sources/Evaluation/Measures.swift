import Metrics
import Settings

/// What is measured on each image beside the prediction.
public struct Measures: Sendable {
  public struct Perturbation: Sendable {
    public let steps: Int
    public let substrate: Substrate
  }

  public var rules: EvaluationProtocol
  public var usesBoxes: Bool
  public var usesControls: Bool
  /// Whether the predicted class is explained instead of the true one.
  public var followsPrediction: Bool
  /// Insertion and deletion; nil leaves them out.
  public var perturbation: Perturbation?

  /// IoU with the masks alone, as validation needs it.
  public static func masks(_ settings: Configuration.Evaluation) -> Measures {
    Measures(
      rules: EvaluationProtocol(setting: settings.protocol), usesBoxes: false, usesControls: false,
      followsPrediction: settings.target == "predicted", perturbation: nil)
  }

  /// Everything that the settings ask for.
  public static func all(_ settings: Configuration.Evaluation) -> Measures {
    var measures = masks(settings)
    measures.usesBoxes = true
    measures.usesControls = true
    if settings.steps > 0 {
      measures.perturbation = Perturbation(
        steps: settings.steps, substrate: Substrate(setting: settings.substrate))
    }
    return measures
  }

  func plan(_ map: [Float], _ perturbation: Perturbation) -> PerturbationPlan {
    rules.plan(map, steps: perturbation.steps)
  }

  /// The places of the curves' points.
  public var fractions: [Double]? { perturbation.map { plan([0], $0).fractions } }
}
