import Cluster
import Dataset
import Encoder
import Failures
import Files
import Foundation
import Layers
import Safetensors
import Settings
import Storage

/// The model's tensors in a checkpoint, in an HDF5 file with `/model` alone, or in a plain export of `ala`.
///
/// - Parameters:
///   - program: this program's file; see `ForeignHDF5`.
///   - accept: asked before memory is taken for them, since shapes are easily declared.
/// - Throws: `Failure` 66 or 65, and what `accept` throws.
public func readModelTensors(
  _ path: String, program: String, accept: @escaping Checkpoint.Accept
) throws -> [NamedTensor] {
  guard startsAsSafetensors(path) else { return try Checkpoint.readModel(path, probe: program, accept: accept) }
  let file = try SafetensorsFile(path: path)
  try accept(file.tensors.values.sorted { $0.name < $1.name }.map { TensorShape(name: $0.name, shape: $0.shape) })
  return try file.tensors.values.sorted { $0.name < $1.name }.map { tensor in
    guard tensor.type == "F32" else {
      throw Failure.badData("\(path): tensor \(tensor.name) is of type \(tensor.type); expected F32")
    }
    let bytes = file.bytes(of: tensor)
    let values = (0..<(bytes.count / 4)).map { bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self) }
    return NamedTensor(name: tensor.name, shape: tensor.shape, values: values)
  }
}

/// The same of tensors that are to be a model's; others are refused before memory is taken for them.
public func readModelTensors(_ path: String, of store: ParameterStore, program: String) throws -> [NamedTensor] {
  try readModelTensors(path, program: program) { try checkModel(store, lists: $0, path: path) }
}

/// What a file of weights says of itself: a checkpoint's attributes, or a plain export's metadata; nothing for a file
/// with `/model` alone.
public func storedAttributes(_ path: String) throws -> [String: HDF5Attribute] {
  guard startsAsSafetensors(path) else { return try Checkpoint.attributesIfOurs(path) ?? [:] }
  return try SafetensorsFile(path: path).metadata.mapValues { .text($0) }
}

/// Whether the JSON header of safetensors begins after the first eight bytes.
private func startsAsSafetensors(_ path: String) -> Bool {
  let head = (try? readBeginning(of: path, count: 9)) ?? []
  return head.count == 9 && head.last == UInt8(ascii: "{")
}

/// Refuses tensors that are not those of the model.
///
/// - Parameter path: for messages.
/// - Throws: `Failure` 65 for a missing, additional or misshapen tensor.
public func checkModel(_ store: ParameterStore, lists shapes: [TensorShape], path: String) throws {
  let byName = Dictionary(shapes.map { ($0.name, $0.shape) }, uniquingKeysWith: { first, _ in first })
  let expected = store.parameters.map { ($0.name, $0.shape) } + store.statistics.map { ($0.name, [$0.count]) }
  for (name, shape) in expected {
    guard let found = byName[name] else { throw Failure.badData("\(path): tensor \(name) is missing") }
    guard found == shape else {
      throw Failure.badData("\(path): tensor \(name) has shape \(found); expected \(shape)")
    }
  }
  let known = Set(expected.map(\.0))
  if let other = shapes.first(where: { !known.contains($0.name) }) {
    throw Failure.badData("\(path): tensor \(other.name) is in the file, but these settings call for none such")
  }
}

/// Puts named tensors into the model: every trained tensor and statistic must be there, and nothing else.
///
/// - Parameter path: for messages.
/// - Throws: `Failure` 65 for a missing, additional, misshapen or non-finite tensor, or a negative variance; nothing is
///   changed then.
public func setModel(_ store: ParameterStore, _ tensors: [NamedTensor], path: String) throws {
  try checkModel(store, lists: tensors.map { TensorShape(name: $0.name, shape: $0.shape) }, path: path)
  let byName = Dictionary(tensors.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
  func found(_ name: String) throws -> NamedTensor {
    guard let tensor = byName[name] else { throw Failure.badData("\(path): tensor \(name) is missing") }
    guard tensor.values.allSatisfy({ $0.isFinite }) else {
      throw Failure.badData("\(path): tensor \(name) holds values that are not finite")
    }
    return tensor
  }
  let trained = try store.parameters.map { try found($0.name) }
  let statistics = try store.statistics.map { try found($0.name) }
  if let variance = statistics.first(where: { $0.name.hasSuffix(".running_var") && $0.values.contains { $0 < 0 } }) {
    throw Failure.badData("\(path): tensor \(variance.name) holds a negative variance")
  }
  for (parameter, tensor) in zip(store.parameters, trained) { store.set(parameter, fromFile: tensor.values) }
  for (statistic, tensor) in zip(store.statistics, statistics) {
    statistic.values.update(from: tensor.values, count: statistic.count)
  }
}

/// Loads the weights that are to be judged: a checkpoint, a run folder (its best), or a file with `/model` alone.
///
/// - Throws: `Failure` 66, 65; 78 where they were trained with another encoder, as far as the file says.
public func loadWeights(_ experiment: Experiment, checkpoint given: String, program: String) throws {
  let store = experiment.model.parameters
  try experiment.cluster.agree {
    store.initialise(seed: experiment.configuration.run.seed)
    let path = try givenCheckpoint(given)
    let stored = try storedAttributes(path)
    try checkNetwork(stored, experiment.configuration, path: path)
    try checkExplained(stored, experiment.model.explains, path: path)
    try checkEncoder(stored, experiment.model.encoder.file, sha256: experiment.encoderSHA256, path: path)
    try checkClasses(stored["classes"], experiment, path: path)
    try setModel(store, try readModelTensors(path, of: store, program: program), path: path)
  }
  // Each rank has read its own host's file.
  guard experiment.cluster.size > 1 else { return }
  try experiment.cluster.requireAlike([("model_sha256 of --checkpoint", modelTensors(store).digest())])
}

/// Refuses another network's weights.
///
/// - Parameter stored: see `storedAttributes`.
/// - Throws: `Failure` 78, as far as the file says.
public func checkNetwork(
  _ stored: [String: HDF5Attribute], _ configuration: Configuration, path: String
) throws {
  var theirs: String?
  if case .text(let name)? = stored["network"] { theirs = name }
  // Checkpoints from before there was a choice say nothing.
  if theirs == nil, stored["format"] == .text("ala-checkpoint") { theirs = NetworkKind.lattice.rawValue }
  guard let theirs, theirs != configuration.model.kind else { return }
  throw Failure.badConfiguration(
    "\(path): holds a network of kind \(theirs), the settings describe one of kind \(configuration.model.kind) (model.kind)"
  )
}

/// A class as a checkpoint names it.
public struct StoredClass: Decodable {
  public let id: Int
  public let name: String

  /// - Parameter stored: a checkpoint's attribute `classes`.
  /// - Returns: nil where there is none that can be read.
  public static func list(_ stored: HDF5Attribute?) -> [StoredClass]? {
    guard case .text(let json)? = stored else { return nil }
    return try? JSONDecoder().decode([StoredClass].self, from: Data(json.utf8))
  }
}

/// Of a file that names none: a network is made for as many before the file's values are read.
private let mostClasses = 1...65_536

/// C of a network whose tensors a file holds: by its attribute `classes`, else by a classifier's bias.
///
/// - Throws: `Failure` 65 where neither is there.
public func classCount(_ stored: [String: HDF5Attribute], _ tensors: [TensorShape], path: String) throws -> Int {
  if let classes = StoredClass.list(stored["classes"]), !classes.isEmpty { return classes.count }
  let bias = tensors.first { $0.name.hasSuffix("classifier.bias") }
  guard let bias, bias.shape.count == 1, let count = bias.shape.first, mostClasses.contains(count) else {
    throw Failure.badData(
      "\(path): tensor perception.classifier.bias is missing\(bias.map { " (\($0.name) has shape \($0.shape))" } ?? ""), and nothing else says how many classes"
    )
  }
  return count
}

/// Refuses weights that were trained with another encoder.
///
/// - Parameter sha256: of the encoder's file, where it is known already.
public func checkEncoder(
  _ attributes: [String: HDF5Attribute], _ encoder: EncoderFile, sha256: String? = nil, path: String
) throws {
  let own = try sha256 ?? SafetensorsFile.sha256(path: encoder.options.weights)
  if let difference = encoderDifference(attributes, encoder, sha256: own, path: path) {
    throw Failure.badConfiguration(difference)
  }
}

/// What to say of weights that were trained with another encoder's file, or with the same computed otherwise; nil where
/// they were not, or where it is not known.
public func encoderDifference(
  _ attributes: [String: HDF5Attribute], _ encoder: EncoderFile, sha256: String, path: String
) -> String? {
  if let theirs = attributes["encoder_sha256"], theirs != .text(sha256) {
    return "\(path): was trained with another encoder than \(encoder.options.weights) (encoder_sha256 differs)"
  }
  if case .text(let theirs)? = attributes["encoder_settings"], theirs != encoder.choices {
    return "\(path): was trained with \(encoder.options.weights) as \(theirs), which is \(encoder.choices) here "
      + "(encoder.heads, encoder.activation, or a configuration beside the weights)"
  }
  return nil
}

/// Refuses weights whose outputs stand for other classes, or for the same in another order.
///
/// - Parameter stored: a checkpoint's attribute `classes`.
public func checkClasses(_ stored: HDF5Attribute?, _ experiment: Experiment, path: String) throws {
  guard let theirs = StoredClass.list(stored) else { return }
  let own = experiment.dataset.classes
  guard
    let place = (0..<max(own.count, theirs.count)).first(where: { place in
      place >= own.count || place >= theirs.count || own[place].id != theirs[place].id
        || own[place].name != theirs[place].name
    })
  else { return }
  let theirName = place < theirs.count ? "\(theirs[place].id) \(theirs[place].name)" : "absent"
  let ownName = place < own.count ? "\(own[place].id) \(own[place].name)" : "absent"
  throw Failure.badConfiguration(
    "\(path): was trained on other classes than \(experiment.dataset.root) has (data.root, data.classes): class \(place + 1) of the model is \(theirName), of the data \(ownName)"
  )
}

/// A run folder stands for its best checkpoint, or for its last where none is best.
public func checkpointPath(_ given: String) -> String {
  var isFolder: ObjCBool = false
  guard FileManager.default.fileExists(atPath: given, isDirectory: &isFolder), isFolder.boolValue else { return given }
  let folder = CheckpointFolder(path: "\(given)/checkpoints", keep: 1)
  return FileManager.default.fileExists(atPath: folder.best) ? folder.best : folder.last
}

/// The settings that a checkpoint carries.
///
/// - Throws: `Failure` 78 for a file of weights that carries none, 66 or 65 for what is none.
public func storedSettings(_ checkpoint: String) throws -> String {
  let path = try givenCheckpoint(checkpoint)
  guard case .text(let text)? = try Checkpoint.attributesIfOurs(path)?["config"] else {
    if !startsAsSafetensors(path) { _ = try HDF5Contents(path) }
    throw Failure.badConfiguration("\(path): carries no settings; give --config")
  }
  return text
}
