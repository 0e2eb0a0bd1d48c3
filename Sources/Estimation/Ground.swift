import Experiments
import Settings

/// The data, views and encoder that networks stand on, and what they resolve to.
public struct Ground: Sendable {
  /// Settings of equal text are of one ground.
  public let key: String
  public let datasetSHA256: String
  public let annotationSHA256: String
  public let maskSHA256: String
  public let encoderSHA256: String
  /// How the encoder's file was understood.
  public let encoderChoices: String
  public let tokens: Int
  public let width: Int
  public let depth: Int
  public let grid: Int
  public let trainCount: Int
  public let validCount: Int
  public let testCount: Int
  public let classCount: Int

  public init(_ experiment: Experiment, key: String) {
    let encoder = experiment.model.encoder
    self.key = key
    datasetSHA256 = experiment.dataset.digest
    annotationSHA256 = experiment.dataset.annotationDigest
    maskSHA256 = experiment.maskDigest
    encoderSHA256 = experiment.encoderSHA256
    encoderChoices = encoder.file.choices
    (tokens, width, depth, grid) = (encoder.patchCount, encoder.width, encoder.depth, encoder.grid)
    let split = experiment.split
    (trainCount, validCount, testCount) = (split.train.count, split.valid.count, split.test.count)
    classCount = experiment.dataset.classes.count
  }

  /// Everything that what is frozen of a run depends on.
  public static func key(_ configuration: Configuration) -> String {
    let sections = SettingTable.keys.map(\.path).filter { path in
      ["data.", "image.", "encoder.", "run.products"].contains { path.hasPrefix($0) }
        // Blocks below the first with LoRA are what bfloat16 is for.
        || (path == "lora.blocks" && configuration.encoder.precision != "float32")
    }
    return sections.map { "\($0): \(configuration.yaml($0))" }.joined(separator: "\n")
  }
}
