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
  /// Whether the network's own loss is wanted, which may cost more than its prediction.
  public var usesLoss: Bool
  /// Whether the predicted class is explained instead of the true one.
  public var followsPrediction: Bool
  /// Insertion and deletion; nil leaves them out.
  public var perturbation: Perturbation?

  /// IoU with the masks alone.
  public static func masks(_ settings: Configuration.Evaluation) -> Measures {
    Measures(
      rules: EvaluationProtocol(setting: settings.protocol), usesBoxes: false, usesControls: false, usesLoss: false,
      followsPrediction: settings.target == "predicted", perturbation: nil)
  }

  /// What a run's validation compares.
  public static func validation(_ settings: Configuration.Evaluation) -> Measures {
    var measures = masks(settings)
    measures.usesLoss = true
    return measures
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
