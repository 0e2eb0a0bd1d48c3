import Dataset
import Experiments
import Failures
import Images
import Metrics

/// The mask [S, S] and box of an image in its evaluation view; nil where it has none that can be used.
public struct GroundTruth {
  public private(set) var mask: [Bool]?
  public private(set) var state = MaskState.absent
  /// What is odd about a mask that is used, naming it.
  public private(set) var problem: String?
  /// The mask's levels where none is above `data.mask_threshold` though not all are 0.
  public private(set) var darkLevels: [Int]?
  /// In the view's pixels, half-open.
  public private(set) var box: Box?

  /// - Throws: `Failure` 66 or 65, naming the image or the mask.
  public init(_ image: ImageEntry, _ experiment: Experiment, _ measures: Measures) throws {
    let file = experiment.dataset.mask(of: image)
    guard file != .absent || (measures.usesBoxes && image.box != nil) else { return }
    let imagePath = experiment.dataset.path(of: image)
    let size = try imageSize(path: imagePath)
    try experiment.dataset.checkUnchanged(imagePath)
    let geometry = experiment.views.geometry(
      width: size.width, height: size.height, seed: 0, imageID: image.id, view: ViewDefinition.evaluationView)
    if measures.usesBoxes {
      box = image.box.flatMap { geometry.transform($0, width: size.width, height: size.height) }
    }
    switch file {
    case .absent: return
    case .unreadable: state = .unreadable
    case .wrongSize: state = .wrongSize
    case .file(let path):
      let threshold = experiment.configuration.data.maskThreshold
      let read = Result { try decodeMask(path: path, threshold: threshold) }
      try experiment.dataset.checkUnchanged(path)
      let levels = try read.get()
      guard levels.width == size.width, levels.height == size.height else {
        throw Failure.badData(
          "\(path): is \(levels.width) x \(levels.height); its image is \(size.width) x \(size.height)")
      }
      let view = measures.rules.foreground(levels, in: geometry, above: threshold)
      mask = view
      state = view.contains(true) ? .used : .empty
      examine(levels, view, path: path, threshold: threshold)
    }
  }

  private mutating func examine(_ levels: GrayImage, _ view: [Bool], path: String, threshold: Int) {
    let used = Set(levels.pixels).sorted().map { Int($0) }
    if state == .empty {
      if used == [0] {
        problem = "\(path): is empty: every level is 0"
      } else if used.allSatisfy({ $0 <= threshold }) {
        darkLevels = used
      } else {
        problem = "\(path): has no foreground in the view"
      }
    } else if used.allSatisfy({ $0 > threshold }) {
      problem = "\(path): is foreground from edge to edge"
    }
  }
}
