import Cluster
import Experiments
import Failures
import Settings

/// The data, views and encoder that networks have in common, and what they resolve to.
struct Ground {
  /// Settings of equal text are of one ground.
  let key: String
  let datasetSHA256: String
  let annotationSHA256: String
  let maskSHA256: String
  let encoderSHA256: String
  /// How the encoder's file was understood.
  let encoderChoices: String
  let tokens: Int
  let width: Int
  let depth: Int
  let grid: Int
  let trainCount: Int
  let validCount: Int
  let testCount: Int
  let classCount: Int

  init(_ experiment: Experiment, key: String) {
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
  static func key(_ configuration: Configuration) -> String {
    let sections = SettingTable.keys.map(\.path).filter { path in
      ["data.", "image.", "encoder.", "run.products"].contains { path.hasPrefix($0) }
        // Blocks below the first with LoRA are what bfloat16 is for.
        || (path == "lora.blocks" && configuration.encoder.precision != "float32")
    }
    return sections.map { "\($0): \(configuration.yaml($0))" }.joined(separator: "\n")
  }
}

/// Refuses data that a table cannot be made of.
///
/// - Throws: `Failure` 65, 78; the same on every rank.
func checkData(_ experiment: Experiment) throws {
  let (dataset, split, cluster) = (experiment.dataset, experiment.split, experiment.cluster)
  for (label, entry) in dataset.classes.enumerated() {
    let images = dataset.images.filter { $0.label == label }
    let missing = images.isEmpty ? "image" : images.allSatisfy(\.isTest) ? "training image" : nil
    if let missing {
      throw cluster.agreed(
        .badData(
          "\(dataset.root): class \(entry.id) \(entry.name) has no \(missing): no row can learn it; leave it out (data.classes)"
        ))
    }
  }
  guard !split.test.isEmpty else { throw cluster.agreed(.badData("\(dataset.root): split test has no image")) }
  guard !split.valid.isEmpty else {
    throw cluster.agreed(
      .badConfiguration(
        "\(dataset.root): no class has the six training images of which one validates, so there is no validation split; "
          + "a table chooses checkpoints and thresholds on it"))
  }
}
