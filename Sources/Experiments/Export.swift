import Dataset
import Encoder
import Failures
import Safetensors
import Storage

/// `ala export`: weights for other tools.

/// What an export says of its contents, in its metadata.
private enum ExportContents: String {
  case adapter = "ala adapter"
  case mergedEncoder = "encoder with LoRA merged"
}

/// Whether a file is one that `exportWeights` has written.
public func isExport(_ path: String) -> Bool {
  guard let contents = try? SafetensorsFile(path: path).metadata["contents"] else { return false }
  return ExportContents(rawValue: contents) != nil
}

/// Writes the trained tensors under their names, or the encoder with W⁽⁰⁾ + s·B·A in place of each updated W⁽⁰⁾.
public func exportWeights(_ experiment: Experiment, mergeLoRA: Bool, to path: String) throws {
  var metadata = [
    "format": "pt", "encoder_sha256": experiment.encoderSHA256, "network": experiment.model.kind,
    "encoder_settings": experiment.model.encoder.file.choices,
  ]
  if let explains = experiment.model.explains { metadata["explains_sha256"] = explains }
  guard mergeLoRA else {
    let table = modelTensors(experiment.model.parameters)
    let tensors = (0..<table.count).map { index in
      let tensor = table[index]
      return (name: tensor.name, shape: tensor.shape, values: tensor.values)
    }
    try writeSafetensors(
      tensors, metadata: metadata.merging(["contents": ExportContents.adapter.rawValue]) { $1 }, to: path)
    return
  }
  try writeSafetensors(
    try experiment.model.encoder.mergedTensors(), others: experiment.model.encoder.otherTensors(),
    metadata: metadata.merging(["contents": ExportContents.mergedEncoder.rawValue]) { $1 }, to: path)
}
