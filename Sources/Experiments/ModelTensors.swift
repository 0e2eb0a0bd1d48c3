import Layers
import Storage
import Tensor

/// The model's tensors under their names: trained ones and running statistics.
public func modelTensors(_ store: ParameterStore) -> TensorTable {
  modelTensors(store, values: store.values, statisticValues: store.statisticValues)
}

private func modelTensors(_ store: ParameterStore, values: Buffer, statisticValues: Buffer) -> TensorTable {
  let (parameters, statistics) = (store.parameters, store.statistics)
  return TensorTable(
    names: parameters.map(\.name) + statistics.map(\.name),
    shapes: parameters.map(\.shape) + statistics.map { [$0.count] }
  ) { index in
    guard index >= parameters.count else { return store.fileValues(of: parameters[index], in: values) }
    let statistic = statistics[index - parameters.count]
    return Array(UnsafeBufferPointer(start: statisticValues.base + statistic.offset, count: statistic.count))
  }
}

/// What a checkpoint holds of a copy of the tensors, their moments and counts. The copy must stay as it is until it is
/// written.
public func checkpointContents(_ copy: ParameterCopy, attributes: [String: HDF5Attribute]) -> CheckpointContents {
  let parameters = copy.store.parameters
  func moments(_ arena: Buffer) -> TensorTable {
    TensorTable(names: parameters.map(\.name), shapes: parameters.map(\.shape)) {
      copy.store.fileValues(of: parameters[$0], in: arena)
    }
  }
  return CheckpointContents(
    model: modelTensors(copy.store, values: copy.values, statisticValues: copy.statisticValues),
    firstMoments: moments(copy.firstMoments), secondMoments: moments(copy.secondMoments),
    steps: Dictionary(uniqueKeysWithValues: zip(parameters, copy.steps).map { ($0.name, Int64($1)) }),
    attributes: attributes)
}
