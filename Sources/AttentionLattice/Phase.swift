import Branches
import Layers
import Networks

/// The alternating epochs (docs/model.md, "Phases and loss"). This file says what a phase of the lattice runs and
/// trains; nothing else tests for odd or even.
extension Phase {
  /// h_AB = α; everything is trained.
  public static let alpha = Phase("alpha", isValidated: true)
  /// h_AB = 1; the side and the attention branch are not run at all.
  public static let ones = Phase("ones", isValidated: false)

  /// The phase of an epoch, counted from 1.
  ///
  /// - Parameters:
  ///   - alternating: `training.aea`; without it every epoch is `alpha` (ablation iii).
  ///   - start: `training.aea_start`, the phase of epoch 1.
  static func of(epoch: Int, alternating: Bool, start: Phase) -> Phase {
    guard alternating else { return .alpha }
    let isOdd = epoch % 2 == 1
    return isOdd == (start == .alpha) ? .alpha : .ones
  }

  /// Whether the side branch and the attention branch are run, forward and backward.
  var usesAttention: Bool { self == .alpha }

  /// What is trained: gradients of these groups, and of nothing else, are made, summed and stepped.
  ///
  /// - Parameter lora: the phases that train LoRA.
  func trainedGroups(lora: Set<Phase>) -> Set<ParameterGroup> {
    let branches: Set<ParameterGroup> = usesAttention ? [.perception, .side, .attention] : [.perception]
    return lora.contains(self) ? branches.union([.lora]) : branches
  }
}
