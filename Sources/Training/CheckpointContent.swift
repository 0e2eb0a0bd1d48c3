import AttentionLattice
import Cluster
import Digests
import Encoder
import Failures
import Foundation
import Layers
import Machine
import Settings
import Storage
import Tensor

/// Between the model's arenas and checkpoint files.

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

/// Everything that a run needs to go on.
func makeCheckpoint(_ experiment: Experiment, _ state: TrainingState, mode: String) -> Checkpoint {
  let classes = experiment.dataset.classes.map { "{\"id\":\($0.id),\"name\":\(quoted($0.name))}" }
  var best = "null"
  if let value = state.best {
    best =
      "{\"accuracy\":\(value.accuracy),\"epoch\":\(value.epoch),\"iou\":\(value.iou.map { "\($0)" } ?? "null"),\"loss\":\(value.loss.isFinite ? "\(value.loss)" : "null"),\"patience_count\":\(state.validationsWithoutBetter),\"step\":\(value.step)}"
  }
  let kernels = experiment.productKernels.map { "\"\($0.key)\":\(quoted($0.value))" }.joined(separator: ",")
  let fingerprint =
    "{\"blas\":\(quoted(blasConfiguration())),\(kernels),\"cpu\":\(quoted(Processor.current.name)),\"hdf5\":\(quoted(HDF5File.libraryVersion()))}"
  return makeCheckpoint(
    experiment.model.parameters,
    attributes: [
      "config": .text(experiment.configuration.resolvedYAML), "epoch": .integer(Int64(state.epoch)),
      "step": .integer(Int64(state.step)), "batch_in_epoch": .integer(Int64(state.batchInEpoch)),
      "phase": .text(experiment.phase(epoch: state.epoch).rawValue),
      "seed": .integer(Int64(experiment.configuration.run.seed)),
      "world_size": .integer(Int64(experiment.cluster.size)),
      "lanes": .integer(Int64(experiment.configuration.training.lanes)),
      "encoder_sha256": .text(experiment.encoderSHA256), "dataset_sha256": .text(experiment.dataset.digest),
      "classes": .text("[" + classes.joined(separator: ",") + "]"), "best": .text(best),
      "fingerprint": .text(fingerprint), "progress": .text(state.json), "data_mode": .text(mode),
    ])
}

private func quoted(_ text: String) -> String {
  let data = try? JSONEncoder().encode(text)
  return data.map { String(decoding: $0, as: UTF8.self) } ?? "\"\""
}

/// The model's tensors in a checkpoint, in an HDF5 file with `/model` alone, or in a plain export of `ala`.
///
/// - Parameter program: this program's file; see `ForeignHDF5`.
/// - Throws: `Failure` 66 or 65.
public func readModelTensors(_ path: String, program: String) throws -> [NamedTensor] {
  guard startsAsSafetensors(path) else { return try Checkpoint.readModel(path, probe: program) }
  let file = try SafetensorsFile(path: path)
  return try file.tensors.values.sorted { $0.name < $1.name }.map { tensor in
    guard tensor.type == "F32" else {
      throw Failure.badData("\(path): tensor \(tensor.name) is of type \(tensor.type); expected F32")
    }
    let bytes = file.bytes(of: tensor)
    let values = (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    return NamedTensor(name: tensor.name, shape: tensor.shape, values: values)
  }
}

/// What a file of weights says of itself: a checkpoint's attributes, or a plain export's metadata; nothing for a file
/// with `/model` alone.
func storedAttributes(_ path: String) throws -> [String: HDF5Attribute] {
  guard startsAsSafetensors(path) else { return try Checkpoint.attributesIfOurs(path) ?? [:] }
  return try SafetensorsFile(path: path).metadata.mapValues { .text($0) }
}

/// Whether the JSON header of safetensors begins after the first eight bytes.
private func startsAsSafetensors(_ path: String) -> Bool {
  guard let handle = FileHandle(forReadingAtPath: path) else { return false }
  defer { try? handle.close() }
  let head = (try? handle.read(upToCount: 9)) ?? Data()
  return head.count == 9 && head.last == UInt8(ascii: "{")
}

/// Puts named tensors into the model: every trained tensor and statistic must be there, and nothing else.
///
/// - Parameter path: for messages.
/// - Throws: `Failure` 65 for a missing, additional, misshapen or non-finite tensor, or a negative variance; nothing is
///   changed then.
public func setModel(_ store: ParameterStore, _ tensors: [NamedTensor], path: String) throws {
  let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  func found(_ name: String, _ shape: [Int]) throws -> NamedTensor {
    guard let tensor = byName[name] else { throw Failure.badData("\(path): tensor \(name) is missing") }
    guard tensor.shape == shape else {
      throw Failure.badData("\(path): tensor \(name) has shape \(tensor.shape); expected \(shape)")
    }
    guard tensor.values.allSatisfy({ $0.isFinite }) else {
      throw Failure.badData("\(path): tensor \(name) holds values that are not finite")
    }
    return tensor
  }
  let trained = try store.parameters.map { try found($0.name, $0.shape) }
  let statistics = try store.statistics.map { try found($0.name, [$0.count]) }
  if let variance = statistics.first(where: { $0.name.hasSuffix(".running_var") && $0.values.contains { $0 < 0 } }) {
    throw Failure.badData("\(path): tensor \(variance.name) holds a negative variance")
  }
  let known = Set(store.parameters.map(\.name) + store.statistics.map(\.name))
  if let other = tensors.first(where: { !known.contains($0.name) }) {
    throw Failure.badData("\(path): tensor \(other.name) is in the file, but these settings call for none such")
  }
  for (parameter, tensor) in zip(store.parameters, trained) { store.set(parameter, fromFile: tensor.values) }
  for (statistic, tensor) in zip(store.statistics, statistics) {
    statistic.values.update(from: tensor.values, count: statistic.count)
  }
}

/// Puts a whole checkpoint into the model and its moments.
func restore(_ store: ParameterStore, _ checkpoint: Checkpoint, path: String) throws {
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
