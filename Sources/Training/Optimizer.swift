import Layers
import Tensor

extension ProfiledPart {
  static let update = ProfiledPart("update")
}

/// How a tensor follows its gradient.
public enum UpdateRule: Equatable, Sendable {
  case adamW
  /// With Nesterov's momentum, which the first moments hold.
  case sgd(momentum: Double)
}

/// The update of what a phase trains, with the global norm clipped (docs/model.md, "Update").
public final class Optimizer: @unchecked Sendable {
  private let store: ParameterStore
  private let team: ThreadTeam
  private let rule: UpdateRule
  private let weightDecay: Double
  /// 0: off.
  private let clip: Double

  /// Values that a thread treats at a time; the norm's order of summation depends on it, not on the threads.
  private static let chunk = 1 << 15
  /// Elements of each tensor.
  private let counts: [Int]
  /// The chunks' shares of a norm.
  private let partial: UnsafeMutablePointer<Double>

  public init(
    _ store: ParameterStore, team: ThreadTeam, rule: UpdateRule = .adamW, weightDecay: Double, clip: Double
  ) {
    self.store = store
    self.team = team
    self.rule = rule
    self.weightDecay = weightDecay
    self.clip = clip
    counts = store.parameters.map(\.count)
    partial = .allocate(capacity: store.count / Self.chunk + 1)
  }

  deinit { partial.deallocate() }

  /// The L2 norm of the gradients in a range of the arena, in double.
  public func gradientNorm(_ range: Range<Int>) -> Double {
    let chunks = (range.count + Self.chunk - 1) / Self.chunk
    let base = store.gradients.base + range.lowerBound
    team.run(chunks) { chunk, _ in
      let start = chunk * Self.chunk
      Profile.of(.update) { partial[chunk] = sumOfSquares(base + start, min(Self.chunk, range.count - start)) }
    }
    var total = 0.0
    for chunk in 0..<chunks { total += partial[chunk] }
    return total.squareRoot()
  }

  /// One update of every tensor of a range of the arena; other tensors' values, moments and counts stay as they are.
  public func step(_ range: Range<Int>, learningRate: Double, norm: Double) {
    let factor = clip > 0 && norm > clip ? Float(clip / (norm + 1e-6)) : 1
    for (index, parameter) in store.parameters.enumerated() where range.contains(parameter.offset) {
      store.steps[index] += 1
      let decay = parameter.isDecayed ? weightDecay : 0
      let adam = AdamWStep(
        learningRate: learningRate, weightDecay: decay, step: store.steps[index], gradientScale: factor)
      let count = counts[index]
      team.run((count + Self.chunk - 1) / Self.chunk) { chunk, _ in
        let start = parameter.offset + chunk * Self.chunk
        let (p, m, g) = (store.values.base + start, store.firstMoments.base + start, store.gradients.base + start)
        let length = min(Self.chunk, count - chunk * Self.chunk)
        Profile.of(.update) {
          switch rule {
          case .adamW: adamW(p, m, store.secondMoments.base + start, g, length, adam)
          case .sgd(let momentum):
            let step = SGDStep(
              learningRate: learningRate, weightDecay: decay, momentum: momentum, gradientScale: factor)
            sgd(p, m, g, length, step)
          }
        }
      }
    }
  }
}
