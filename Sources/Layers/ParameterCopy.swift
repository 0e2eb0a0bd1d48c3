import Tensor

/// Room for a second state of a store's tensors: values, running statistics, moments and counts as they were at a moment,
/// for who looks at them while training goes on. The room is taken once.
public final class ParameterCopy: @unchecked Sendable {
  public let store: ParameterStore
  public let values: Buffer
  public let statisticValues: Buffer
  public let firstMoments: Buffer
  public let secondMoments: Buffer
  public private(set) var steps: [Int] = []

  /// - Parameter store: allocated for training.
  public init(of store: ParameterStore) {
    self.store = store
    values = Buffer(store.values.count)
    statisticValues = Buffer(store.statisticValues.count)
    firstMoments = Buffer(store.firstMoments.count)
    secondMoments = Buffer(store.secondMoments.count)
  }

  /// Overwrites the copy with what the store holds now.
  public func take() {
    for (copy, arena) in [
      (values, store.values), (statisticValues, store.statisticValues), (firstMoments, store.firstMoments),
      (secondMoments, store.secondMoments),
    ] {
      copy.base.update(from: arena.base, count: arena.count)
    }
    steps = store.steps
  }
}
