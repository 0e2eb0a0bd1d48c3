import Digests
import Failures
import Files
import Foundation
import Machine

/// Checkpoint files (docs/formats.md, "Checkpoint"): HDF5 with a 512-byte user block that holds a digest of all the
/// rest.

/// A checkpoint that has been read.
public struct Checkpoint: Sendable {
  /// Trained tensors and running statistics.
  public var model: [NamedTensor]
  /// AdamW's moments, of the trained tensors.
  public var firstMoments: [NamedTensor]
  public var secondMoments: [NamedTensor]
  /// Each tensor's own count of updates.
  public var steps: [String: Int64]
  public var attributes: [String: HDF5Attribute]

  static let format = "ala-checkpoint"
  static let version: Int64 = 1

  public func text(_ name: String) -> String? {
    if case .text(let value)? = attributes[name] { value } else { nil }
  }

  public func integer(_ name: String) -> Int? {
    if case .integer(let value)? = attributes[name] { Int(value) } else { nil }
  }

  // MARK: Reading

  /// Reads and verifies a checkpoint: the digest before HDF5 sees it, then format, version and `model_sha256`.
  ///
  /// - Throws: `Failure` 66 where there is none, 65 where it is damaged, naming the file.
  public static func read(_ path: String) throws -> Checkpoint {
    try UserBlock.verify(path)
    return try read(try HDF5File.open(path))
  }

  /// The same of a checkpoint that may not be this run's own: whoever made it can have made its digest, too.
  ///
  /// - Parameters:
  ///   - probe: the `ala` program; see `ForeignHDF5`.
  ///   - accept: asked before memory is taken for any tensor.
  public static func readForeign(_ path: String, probe: String, accept: Accept? = nil) throws -> Checkpoint {
    try UserBlock.verify(path)
    return try read(try ForeignHDF5(path, probe: probe), accept: accept)
  }

  private static func read(_ file: some HDF5Reading, accept: Accept? = nil) throws -> Checkpoint {
    let path = file.path
    let attributes = try file.attributes()
    guard attributes["format"] == .text(format) else {
      throw Failure.badData("\(path): is not a checkpoint of ala (attribute format)")
    }
    guard attributes["version"] == .integer(version) else {
      throw Failure.badData("\(path): is of another checkpoint version; expected \(version)")
    }
    try accept?(try shapes(file))
    var steps: [String: Int64] = [:]
    for name in try file.names(in: "/optimizer/steps") ?? [] {
      steps[name] = try file.readArray("/optimizer/steps/\(name)", .int64, of: Int64.self).first ?? 0
    }
    let checkpoint = Checkpoint(
      model: try tensors(file, "/model"), firstMoments: try tensors(file, "/optimizer/m"),
      secondMoments: try tensors(file, "/optimizer/v"), steps: steps, attributes: attributes)
    guard checkpoint.text("model_sha256") == TensorTable(checkpoint.model).digest() else {
      throw Failure.badData("\(path): its weights do not have the digest that it states (model_sha256)")
    }
    return checkpoint
  }

  private static func names(_ file: some HDF5Reading, _ group: String) throws -> [String] {
    guard let names = try file.names(in: group) else {
      throw Failure.badData("\(file.path): group \(group) is missing")
    }
    return names
  }

  private static func shapes(_ file: some HDF5Reading) throws -> [TensorShape] {
    try names(file, "/model").map { TensorShape(name: $0, shape: try file.dataset("/model/\($0)").shape) }
  }

  private static func tensors(_ file: some HDF5Reading, _ group: String) throws -> [NamedTensor] {
    try names(file, group).map { name in
      let dataset = try file.dataset("\(group)/\(name)")
      return NamedTensor(
        name: name, shape: dataset.shape,
        values: try file.readArray("\(group)/\(name)", .float32, of: Float.self))
    }
  }

  /// The attributes of a checkpoint that we have written, verified; nil for a file of another tool.
  ///
  /// - Throws: `Failure` 66 or 65.
  public static func attributesIfOurs(_ path: String) throws -> [String: HDF5Attribute]? {
    close(try openRegularFile(path).descriptor)
    guard UserBlock.isPresent(path) else { return nil }
    try UserBlock.verify(path)
    return try ForeignHDF5(path, probe: ChildProcess.ownProgram).attributes()
  }

  /// Takes what a file lists of `/model`, or throws.
  public typealias Accept = ([TensorShape]) throws -> Void

  /// Reads the tensors of `/model` alone, from a checkpoint or from a file that another tool has made.
  ///
  /// - Parameters:
  ///   - probe: the `ala` program; see `ForeignHDF5`.
  ///   - accept: asked before memory is taken for any of them.
  public static func readModel(_ path: String, probe: String, accept: Accept? = nil) throws -> [NamedTensor] {
    if UserBlock.isPresent(path) { return try readForeign(path, probe: probe, accept: accept).model }
    let file = try ForeignHDF5(path, probe: probe)
    try accept?(try shapes(file))
    return try tensors(file, "/model")
  }
}
