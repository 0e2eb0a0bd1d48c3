import Dataset
import Failures
import Files
import Foundation
import Settings

/// A few images of the user's data set as one of their own, by its text files and links, so that a few steps are some
/// epochs, and a cache is made in seconds.
struct ProofData {
  let root: String
  /// `data.segmentations` for it.
  let segmentations: String
  /// Training images.
  let count: Int

  /// Images of a class of which the split leaves one for validation.
  private static let perClass = 6

  /// Writes text files below `folder`, with links to the images and masks where they lie.
  ///
  /// - Throws: `Failure` 65, 66 or 78 of the data set; 73 of the folder.
  init(_ configuration: Configuration, below folder: String) throws {
    let data = configuration.data
    var options = DatasetOptions(root: data.root, classes: data.classes)
    options.layout = DataLayout(rawValue: data.layout) ?? .cub
    options.labels = data.labels
    options.skipsUnreadable = data.skipUnreadable
    options.followsLinks = data.followLinks
    options.masks = .none
    options.looksAtFiles = false
    let dataset = try ImageDataset(options)
    // Three batches, the last of them short.
    let wanted = 2 * configuration.training.batch + 1
    var chosen: [ImageEntry] = []
    var training = 0
    for label in dataset.classes.indices where training < wanted {
      let own = dataset.images.filter { $0.label == label && !$0.isTest }.prefix(Self.perClass)
      chosen += own
      training += (5 * own.count + 5) / 6
    }
    guard training > 0 else { throw Failure.badData("\(data.root): has no training image") }
    count = training
    chosen += dataset.images.filter(\.isTest).prefix(1)
    root = "\(folder)/data"
    try makeFolder(root)
    func write(_ name: String, _ lines: [String]) throws {
      try writeAtomically(lines.map { "\($0)\n" }.joined(), to: "\(folder)/data/\(name)")
    }
    try write("classes.txt", dataset.classes.map { "\($0.id) \($0.name)" })
    try write("images.txt", chosen.map { "\($0.id) \($0.path)" })
    try write("image_class_labels.txt", chosen.map { "\($0.id) \(dataset.classes[$0.label].id)" })
    try write("train_test_split.txt", chosen.map { "\($0.id) \($0.isTest ? 0 : 1)" })
    // Masks that lie among the images are not looked for: no weight depends on them.
    for (name, original) in [("images", dataset.imageRoot), ("segmentations", "\(data.root)/segmentations")] {
      let original = URL(fileURLWithPath: original).standardizedFileURL.path
      guard FileManager.default.fileExists(atPath: original) else { continue }
      guard symlink(original, "\(root)/\(name)") == 0 else { throw cannotWrite("\(root)/\(name)") }
    }
    segmentations = options.layout == .folders ? "none" : data.segmentations
  }
}
