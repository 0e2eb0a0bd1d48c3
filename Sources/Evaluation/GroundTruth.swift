import Dataset
import Experiments
import Images
import Metrics

/// The mask [S, S] and box of an image in its evaluation view; nil where it has none that can be used.
public struct GroundTruth {
  public private(set) var mask: [Bool]?
  public private(set) var state = MaskState.absent
  /// What is wrong with the mask, naming it.
  public private(set) var problem: String?
  /// In the view's pixels, half-open.
  public private(set) var box: Box?

  public init(_ image: ImageEntry, _ experiment: Experiment, _ measures: Measures) throws {
    let maskPath = experiment.dataset.maskPath(of: image)
    guard maskPath != nil || (measures.usesBoxes && image.box != nil) else { return }
    let size = try imageSize(path: experiment.dataset.path(of: image))
    let geometry = experiment.views.geometry(
      width: size.width, height: size.height, seed: 0, imageID: image.id, view: ViewDefinition.evaluationView)
    if let maskPath {
      let levels = try decodeMask(path: maskPath)
      if levels.width == size.width, levels.height == size.height {
        let view = measures.rules.foreground(levels, in: geometry)
        mask = view
        state = view.contains(true) ? .used : .empty
        if state == .empty { problem = "\(maskPath): has no foreground in the view" }
      } else {
        state = .wrongSize
        problem = "\(maskPath): is \(levels.width) x \(levels.height); its image is \(size.width) x \(size.height)"
      }
    }
    if measures.usesBoxes {
      box = image.box.flatMap { geometry.transform($0, width: size.width, height: size.height) }
    }
  }
}
