import Cluster
import Experiments
import Failures
import Files
import Foundation
import Layers
import Machine
import Settings
import Storage
import Tensor

/// What a run needs to go on beside its tensors.
func checkpointAttributes(_ experiment: Experiment, _ state: TrainingState, mode: String) -> [String: HDF5Attribute] {
  let classes = experiment.dataset.classes.map { "{\"id\":\($0.id),\"name\":\(quoted($0.name))}" }
  var best = "null"
  if let value = state.best {
    best =
      "{\"accuracy\":\(value.accuracy),\"epoch\":\(value.epoch),\"iou\":\(value.iou.map { "\($0)" } ?? "null"),\"loss\":\(value.loss.isFinite ? "\(value.loss)" : "null"),\"patience_count\":\(state.validationsWithoutBetter),\"step\":\(value.step)}"
  }
  let kernels = experiment.productKernels.map { "\"\($0.key)\":\(quoted($0.value))" }.joined(separator: ",")
  let fingerprint =
    "{\"blas\":\(quoted(blasConfiguration())),\(kernels),\"cpu\":\(quoted(Processor.current.name)),\"hdf5\":\(quoted(HDF5File.libraryVersion()))}"
  var attributes: [String: HDF5Attribute] = [
    "network": .text(experiment.model.kind), "config": .text(experiment.configuration.resolvedYAML),
    "epoch": .integer(Int64(state.epoch)),
    "step": .integer(Int64(state.step)), "batch_in_epoch": .integer(Int64(state.batchInEpoch)),
    "phase": .text(experiment.phase(epoch: state.epoch).name),
    "seed": .integer(Int64(experiment.configuration.run.seed)),
    "world_size": .integer(Int64(experiment.cluster.size)),
    "lanes": .integer(Int64(experiment.configuration.training.lanes)),
    "encoder_sha256": .text(experiment.encoderSHA256),
    "encoder_settings": .text(experiment.model.encoder.file.choices),
    "dataset_sha256": .text(experiment.dataset.digest),
    "classes": .text("[" + classes.joined(separator: ",") + "]"), "best": .text(best),
    "products": .text(experiment.products.rawValue), "fingerprint": .text(fingerprint), "progress": .text(state.json),
    "data_mode": .text(mode),
  ]
  if let explains = experiment.model.explains { attributes["explains_sha256"] = .text(explains) }
  return attributes
}

private func quoted(_ text: String) -> String {
  let data = try? JSONEncoder().encode(text)
  return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
}

/// What makes the products of the run that goes on, as its newest sound checkpoint says it; nil where a run begins.
///
/// - Throws: what reading the checkpoint that was named throws; the same on every rank.
public func resumedProducts(
  _ configuration: Configuration, _ resume: TrainingOptions.Resume, cluster: Cluster
) throws -> ProductLibrary? {
  let name = try cluster.fromRoot { () -> [UInt8] in
    var products: ProductLibrary?
    switch resume {
    case .never: break
    case .file(let path): products = storedProducts(try storedAttributes(path))
    case .automatic:
      let folder = CheckpointFolder(path: "\(configuration.run.dir)/checkpoints", keep: 1)
      for path in try folder.steps().map(folder.file) where products == nil {
        do {
          products = try Checkpoint.attributesIfOurs(path).flatMap(storedProducts)
        } catch let failure as Failure where isFault(failure, of: path) {
          continue
        }
      }
    }
    return Array((products?.rawValue ?? "").utf8)
  }
  return ProductLibrary(rawValue: String(decoding: name, as: UTF8.self))
}

/// nil where a checkpoint names none that there is.
func storedProducts(_ stored: [String: HDF5Attribute]) -> ProductLibrary? {
  // Checkpoints from before there was a choice say nothing.
  guard case .text(let name)? = stored["products"] else { return .openblas }
  return ProductLibrary(rawValue: name)
}

/// Puts a whole checkpoint into the model and its moments.
///
/// - Parameter mostSteps: the run's updates, of which a tensor has had all or fewer.
/// - Throws: `Failure` 65 naming the tensor.
func restore(_ store: ParameterStore, _ checkpoint: Checkpoint, mostSteps: Int, path: String) throws {
  try setModel(store, checkpoint.model, path: path)
  for (tensors, arena, group) in [
    (checkpoint.firstMoments, store.firstMoments, "m"), (checkpoint.secondMoments, store.secondMoments, "v"),
  ] {
    let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    for parameter in store.parameters {
      guard let tensor = byName[parameter.name], tensor.shape == parameter.shape else {
        throw Failure.badData("\(path): tensor /optimizer/\(group)/\(parameter.name) is missing or misshapen")
      }
      store.set(parameter, fromFile: tensor.values, in: arena)
    }
  }
  for (index, parameter) in store.parameters.enumerated() {
    guard let count = checkpoint.steps[parameter.name] else {
      throw Failure.badData("\(path): tensor /optimizer/steps/\(parameter.name) is missing")
    }
    guard (0...Int64(mostSteps)).contains(count) else {
      throw Failure.badData(
        "\(path): tensor /optimizer/steps/\(parameter.name) is \(count); expected 0 to \(mostSteps), the run's steps")
    }
    store.steps[index] = Int(count)
  }
}

extension Cluster {
  /// Gives every rank rank 0's tensors, statistics, moments and counts.
  func broadcast(_ store: ParameterStore) {
    guard size > 1 else { return }
    for arena in [store.values, store.statisticValues, store.firstMoments, store.secondMoments] where arena.count > 0 {
      var bytes = isRoot ? Array(UnsafeRawBufferPointer(start: arena.base, count: arena.count * 4)) : []
      broadcast(&bytes)
      UnsafeMutableRawBufferPointer(start: arena.base, count: arena.count * 4).copyBytes(from: bytes)
    }
    var counts = isRoot ? store.steps.withUnsafeBytes { Array($0) } : []
    broadcast(&counts)
    store.steps = counts.withUnsafeBytes { Array($0.bindMemory(to: Int.self)) }
  }
}
