import Layers
import Storage
import Tensor

/// The model's tensors under their names: trained ones and running statistics.
public func modelTensors(_ store: ParameterStore) -> [NamedTensor] {
  store.parameters.map {
    NamedTensor(name: $0.name, shape: $0.shape, values: store.fileValues(of: $0, in: store.values))
  }
    + store.statistics.map {
      NamedTensor(
        name: $0.name, shape: [$0.count], values: Array(UnsafeBufferPointer(start: $0.values, count: $0.count)))
    }
}

/// A checkpoint of the tensors, their moments and counts.
public func makeCheckpoint(_ store: ParameterStore, attributes: [String: HDF5Attribute]) -> Checkpoint {
  func moments(_ arena: Buffer) -> [NamedTensor] {
    store.parameters.map {
      NamedTensor(name: $0.name, shape: $0.shape, values: store.fileValues(of: $0, in: arena))
    }
  }
  return Checkpoint(
    model: modelTensors(store), firstMoments: moments(store.firstMoments), secondMoments: moments(store.secondMoments),
    steps: Dictionary(uniqueKeysWithValues: zip(store.parameters, store.steps).map { ($0.name, Int64($1)) }),
    attributes: attributes)
}
