import Experiments
import Explaining
import Settings

/// What a network's caching pass, training and evaluations take, by what was measured of it: the one reckoning behind
/// every `--dry-run`.
public struct WorkCost {
  private let configuration: Configuration
  private let ground: Ground
  private let shape: NetworkShape

  /// Forward passes that stand for a backward pass.
  private static let backwardViews = 3.0
  /// Bytes of an image's small files: overlay, lines of text.
  private static let bytesPerImage = 2048

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
    let steps = configuration.evaluation.steps
    // The control of the randomised model is a forward pass, too.
    return viewsPerMap(method) + 1 + (steps > 0 ? 2.0 * Double(steps + 1) : 0)
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
    4 * (3 * shape.trainedCount + shape.statisticCount) * (configuration.checkpoint.keep + 1)
  }

  /// Of an evaluation's files.
  public func evaluationBytes(_ method: any ExplanationMethod, images: Int) -> Int {
    let isPixelwise = ["rise", "fcam"].contains(method.facts.name)
    let side = isPixelwise ? configuration.image.size : ground.grid
    return images * (4 * (side * side + ground.classCount) + Self.bytesPerImage)
  }
}
