import Dataset
import Images
import Metrics

/// The images that an evaluation is of, as the model saw them.
public struct EvaluatedImages {
  private let dataset: ImageDataset
  private let side: Int
  private let maskThreshold: Int

  /// - Throws: `Failure` where the data set cannot be read from here.
  public init(of summary: EvaluationSummary) throws {
    var options = DatasetOptions(root: summary.settings["data_root"] ?? "")
    options.layout = summary.settings["data_layout"].flatMap(DataLayout.init) ?? .cub
    options.labels = summary.settings["data_labels"]
    options.followsLinks = summary.settings["data_follow_links"] == "true"
    // What the evaluation left out has no result that would be shown.
    options.skipsUnreadable = true
    options.masks = Masks(setting: summary.settings["segmentations"] ?? "auto")
    options.looksAtFiles = false
    dataset = try ImageDataset(options)
    side = summary.side
    maskThreshold = summary.settings["mask_threshold"].flatMap(Int.init) ?? standardMaskThreshold
  }

  /// The evaluation view [S, S, 3] of an image, and the mask [S, S] in it where there is one that can be used.
  ///
  /// - Returns: nil where the image is not there, or cannot be read.
  public func view(_ id: Int) -> (image: RGBImage, mask: [Bool]?)? {
    guard let entry = dataset.image(id), let decoded = try? decodeImage(path: dataset.path(of: entry)) else {
      return nil
    }
    let geometry = ViewDefinition(side: side, augmentation: .none).geometry(
      width: decoded.width, height: decoded.height, seed: 0, imageID: id, view: ViewDefinition.evaluationView)
    let view = RGBImage(width: side, height: side, pixels: geometry.render(decoded))
    guard case .file(let path) = dataset.mask(of: entry),
      let levels = try? decodeMask(path: path, threshold: maskThreshold), levels.width == decoded.width,
      levels.height == decoded.height
    else { return (view, nil) }
    return (view, geometry.render(levels, above: maskThreshold))
  }
}
