import Layers

/// The alternating epochs (paper 3.3, model.md 5). This type says what a phase runs, trains, sums and steps;
/// nothing else tests for odd or even.
public enum Phase: String, Sendable, CaseIterable {
  /// h_AB = α; everything is trained.
  case alpha
  /// h_AB = 1; the side and the attention branch are not run at all.
  case ones

  /// The phase of an epoch, counted from 1.
  ///
  /// - Parameters:
  ///   - alternating: `training.aea`; without it every epoch is `alpha` (ablation iii).
  ///   - start: `training.aea_start`, the phase of epoch 1.
  public static func of(epoch: Int, alternating: Bool, start: Phase) -> Phase {
    guard alternating else { return .alpha }
    let isOdd = epoch % 2 == 1
    return isOdd == (start == .alpha) ? .alpha : .ones
  }

  /// Whether the side branch and the attention branch are run, forward and backward.
  public var usesAttention: Bool { self == .alpha }

  /// What is trained: gradients of these groups, and of nothing else, are made, summed and stepped.
  public var trainedGroups: Set<ParameterGroup> {
    usesAttention ? Set(ParameterGroup.allCases) : [.lora, .perception]
  }

  /// After which epochs the model is validated.
  public var isValidated: Bool { self == .alpha }
}
