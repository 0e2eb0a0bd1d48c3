import Failures
import Files
import Foundation

/// What is written into a checkpoint file (docs/formats.md, "Checkpoint").
public struct CheckpointContents: Sendable {
  /// Trained tensors and running statistics.
  public let model: TensorTable
  /// AdamW's moments, of the trained tensors.
  public let firstMoments: TensorTable
  public let secondMoments: TensorTable
  /// Each tensor's own count of updates.
  public let steps: [String: Int64]
  public let attributes: [String: HDF5Attribute]

  public init(
    model: TensorTable, firstMoments: TensorTable, secondMoments: TensorTable, steps: [String: Int64],
    attributes: [String: HDF5Attribute]
  ) {
    self.model = model
    self.firstMoments = firstMoments
    self.secondMoments = secondMoments
    self.steps = steps
    self.attributes = attributes
  }

  /// Writes the file under its name in one step: aside, flushed, synced, renamed, the folder synced.
  ///
  /// - Throws: `Failure` 73; an earlier file stays as it was.
  public func write(to path: String) throws {
    try makeAtomically(path) { temporary in
      try writeHDF5(to: temporary, for: path)
      try UserBlock.seal(temporary)
    }
  }

  private func writeHDF5(to temporary: String, for path: String) throws {
    let file = try HDF5File.create(temporary, for: path, userBlock: UserBlock.size)
    func write(_ group: String, _ tensors: TensorTable) throws {
      try file.makeGroup(group)
      for index in 0..<tensors.count {
        let tensor = tensors[index]
        let name = "\(group)/\(tensor.name)"
        try file.makeDataset(name, .float32, shape: tensor.shape)
        try tensor.values.withUnsafeBytes { bytes in
          if let base = bytes.baseAddress { try file.write(name, .float32, base) }
        }
      }
    }
    try write("/model", model)
    try file.makeGroup("/optimizer")
    try write("/optimizer/m", firstMoments)
    try write("/optimizer/v", secondMoments)
    try file.makeGroup("/optimizer/steps")
    for (name, var count) in steps.sorted(by: { $0.key < $1.key }) {
      try file.makeDataset("/optimizer/steps/\(name)", .int64, shape: [])
      try file.write("/optimizer/steps/\(name)", .int64, &count)
    }
    var all = attributes
    all["format"] = .text(Checkpoint.format)
    all["version"] = .integer(Checkpoint.version)
    all["model_sha256"] = .text(model.digest())
    try file.write(all.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) })
    try file.close()
  }
}
