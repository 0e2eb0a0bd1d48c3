import Dataset
import Encoder
import Failures
import Storage

/// `ala export`: weights for other tools.

/// Writes the trained tensors under their names, or the encoder with W⁽⁰⁾ + s·B·A in place of each updated W⁽⁰⁾.
public func exportWeights(_ experiment: Experiment, mergeLoRA: Bool, to path: String) throws {
  let metadata = ["format": "pt", "encoder_sha256": experiment.encoderSHA256]
  guard mergeLoRA else {
    let tensors = modelTensors(experiment.model.parameters).map { (name: $0.name, shape: $0.shape, values: $0.values) }
    try writeSafetensors(tensors, metadata: metadata.merging(["contents": "ala adapter"]) { $1 }, to: path)
    return
  }
  try writeSafetensors(
    try experiment.model.encoder.mergedTensors(), others: experiment.model.encoder.otherTensors(),
    metadata: metadata.merging(["contents": "encoder with LoRA merged"]) { $1 }, to: path)
}
