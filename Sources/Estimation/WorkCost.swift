import Evaluation
import Experiments
import Explaining
import Metrics
import Settings
import Training

/// What a network's caching pass, training and evaluations take, by what was measured of it: the one reckoning behind
/// every `--dry-run`.
public struct WorkCost {
  private let configuration: Configuration
  private let ground: Ground
  private let shape: NetworkShape

  /// Forward passes that stand for a backward pass.
  private static let backwardViews = 3.0
  /// Bytes of a pixel of photographs and overlays as PNG.
  private static let pixelBytes = 1.8
  /// What HDF5 needs of a tensor beside its values, with its moments and its steps.
  private static let tensorBytes = 1600
  /// Of an image in `per_image.csv` and the like; of a step in `metrics.jsonl` and TensorBoard's file.
  private static let lineBytes = 256
  private static let stepBytes = 768
  /// Of an evaluation's curves and summary; of a run's settings, split and log.
  private static let smallFileBytes = 128 << 10

  public init(_ configuration: Configuration, ground: Ground, shape: NetworkShape) {
    (self.configuration, self.ground, self.shape) = (configuration, ground, shape)
  }

  // MARK: Seconds

  /// Of the caching pass.
  ///
  /// - Parameter firstLoRABlock: of the cache; blocks below it are run.
  public func cachingSeconds(firstLoRABlock: Int, _ speed: NetworkSpeed) -> Double {
    let share = Double(max(firstLoRABlock - 1, 1)) / Double(ground.depth)
    return Double(cacheRows) * speed.secondsPerView * share
  }

  /// At most: early stopping is not foreseen.
  public func trainingSeconds(_ speed: NetworkSpeed) -> Double {
    shape.epochs.reduce(0) { $0 + $1.count * epochSeconds($1.phase.name, isValidated: $1.phase.isValidated, speed) }
  }

  /// Of an epoch, with the validation behind it.
  public func epochSeconds(_ phase: String, isValidated: Bool, _ speed: NetworkSpeed) -> Double {
    let steps = Double(ground.trainCount) * (speed.secondsPerSample[phase] ?? 0)
    return steps + (isValidated ? Double(ground.validCount) * speed.secondsPerView : 0)
  }

  /// Of an evaluation.
  ///
  /// - Parameters:
  ///   - images: that are evaluated.
  ///   - validation: images whose maps choose a threshold.
  public func evaluationSeconds(
    _ method: any ExplanationMethod, images: Int, validation: Int, _ speed: NetworkSpeed
  ) -> Double {
    let views =
      Double(images) * viewsPerImage(method) + Double(validation) * viewsPerMap(method)
    return views * speed.secondsPerView
  }

  /// Forward passes, or what takes as long, of an evaluated image.
  public func viewsPerImage(_ method: any ExplanationMethod) -> Double {
    let evaluation = configuration.evaluation
    let points = EvaluationProtocol(setting: evaluation.protocol).pointCount(steps: evaluation.steps)
    // The control of the randomised model is a forward pass, too.
    return viewsPerMap(method) + 1 + (evaluation.steps > 0 ? 2.0 * Double(points + 1) : 0)
  }

  private func viewsPerMap(_ method: any ExplanationMethod) -> Double {
    1.0 + Double(method.passes(configuration)) + (method.facts.needsGradients ? Self.backwardViews : 0)
  }

  // MARK: Bytes

  public var cacheRows: Int {
    let views = configuration.image.crop == nil ? 1 : configuration.cache.views
    return ground.trainCount * views + ground.validCount + ground.testCount
  }

  /// Of the whole cache.
  ///
  /// - Parameter layers: how many are stored beside h⁽ᵐ⁻¹⁾.
  public func cacheBytes(layers: Int) -> Int {
    let values = (layers * ground.tokens + ground.tokens + 1) * ground.width
    let side = configuration.image.size
    return cacheRows * (side * side * 3 + values * (configuration.cache.dtype == "float16" ? 2 : 4))
  }

  /// Of all checkpoints that lie in a run's folder at a time: the recent ones, the best, and the last, which stands
  /// under two names. Each has weights and two moments.
  public var checkpointBytes: Int {
    (4 * (3 * shape.trainedCount + shape.statisticCount) + Self.tensorBytes * shape.tensorCount)
      * (configuration.checkpoint.keep + 1)
  }

  /// Of a run's other files at its end: logs, and the maps of validation images in TensorBoard's.
  public var logBytes: Int {
    let training = configuration.training
    let steps = (ground.trainCount + training.batch - 1) / training.batch * training.epochs
    let validations = shape.epochs.reduce(0) { $0 + ($1.phase.isValidated ? $1.count : 0) }
    let maps = validations * Double(min(ground.validCount, mostShownMaps)) * Self.bytes(side: configuration.image.size)
    return Self.smallFileBytes + Self.stepBytes * steps + Int(maps)
  }

  /// Of an evaluation's files.
  public func evaluationBytes(_ method: any ExplanationMethod, images: Int) -> Int {
    let isPixelwise = ["rise", "fcam"].contains(method.facts.name)
    let side = isPixelwise ? configuration.image.size : ground.grid
    // An overlay alone, and on a sheet beside its image.
    let pictures = 3 * Double(min(images, mostPictured)) * Self.bytes(side: configuration.image.size)
    return Self.smallFileBytes + images * (4 * (side * side + ground.classCount) + Self.lineBytes) + Int(pictures)
  }

  /// Of a picture of so many pixels a side.
  public static func bytes(side: Int) -> Double { pixelBytes * Double(side * side) }
}
