import Experiments
import Foundation

/// What the stages of a plan will take, by what its networks were measured to take.
struct CostEstimate {
  let plan: TablePlan

  /// Forward passes that stand for a backward pass.
  private static let backwardViews = 3.0
  /// Bytes of an image's small files: overlay, lines of text.
  private static let bytesPerImage = 2048

  // MARK: Seconds

  /// A stage's own work, and what it takes to begin.
  func seconds(_ stage: Stage) -> Double { plan.secondsToBegin + workSeconds(stage) }

  private func workSeconds(_ stage: Stage) -> Double {
    switch stage {
    case .cache(let index, _):
      let cache = plan.caches[index]
      let (ground, speed) = (plan.grounds[cache.maker], plan.facts[cache.maker].speed)
      let share = Double(max(cache.firstLoRABlock - 1, 1)) / Double(ground.depth)
      return Double(rows(cache)) * speed.secondsPerView * share
    case .train(let network, _): return trainingSeconds(network)
    case .evaluate(let row, _): return evaluationSeconds(plan.rows[row])
    }
  }

  /// At most: early stopping is not foreseen.
  private func trainingSeconds(_ network: Int) -> Double {
    let (facts, ground) = (plan.facts[network], plan.grounds[network])
    return facts.shape.epochs.reduce(0) { sum, part in
      let step = Double(ground.trainCount) * (facts.speed.secondsPerSample[part.phase.name] ?? 0)
      let validation = part.phase.isValidated ? Double(ground.validCount) * facts.speed.secondsPerView : 0
      return sum + part.count * (step + validation)
    }
  }

  private func evaluationSeconds(_ row: ComparedRow) -> Double {
    let settings = row.configuration.evaluation
    let map =
      1.0 + Double(row.method.passes(row.configuration)) + (row.method.facts.needsGradients ? Self.backwardViews : 0)
    // The control of the randomised model is a forward pass, too.
    let curves = settings.steps > 0 ? 2.0 * Double(settings.steps + 1) : 0
    let views =
      Double(plan.evaluatedCount) * (map + 1 + curves) + Double(plan.grounds[row.network].validCount) * map
    return views * plan.facts[row.network].speed.secondsPerView
  }

  // MARK: Bytes

  func bytes(_ stage: Stage) -> Int {
    switch stage {
    case .cache(let index, _): return rows(plan.caches[index]) * rowBytes(plan.caches[index])
    case .train(let network, _):
      let shape = plan.facts[network].shape
      // Weights and two moments; the recent ones, the best, and the last, which stands under two names.
      let checkpoint = 4 * (3 * shape.trainedCount + shape.statisticCount)
      return checkpoint * (plan.base.checkpoint.keep + 1)
    case .evaluate(let index, _):
      let row = plan.rows[index]
      let ground = plan.grounds[row.network]
      let isPixelwise = ["rise", "fcam"].contains(row.method.facts.name)
      let side = isPixelwise ? row.configuration.image.size : ground.grid
      return plan.evaluatedCount * (4 * (side * side + ground.classCount) + Self.bytesPerImage)
    }
  }

  private func rows(_ cache: CacheGroup) -> Int {
    let (ground, configuration) = (plan.grounds[cache.maker], plan.networks[cache.maker].configuration)
    let views = configuration.image.crop == nil ? 1 : configuration.cache.views
    return ground.trainCount * views + ground.validCount + ground.testCount
  }

  private func rowBytes(_ cache: CacheGroup) -> Int {
    let (ground, configuration) = (plan.grounds[cache.maker], plan.networks[cache.maker].configuration)
    let values = (cache.layers.count * ground.tokens + ground.tokens + 1) * ground.width
    let side = configuration.image.size
    return side * side * 3 + values * (configuration.cache.dtype == "float16" ? 2 : 4)
  }

  // MARK: Words

  static func words(seconds: Double) -> String {
    seconds < 90
      ? String(format: "%.0f s", max(seconds, 1))
      : seconds < 5400 ? String(format: "%.0f min", seconds / 60) : String(format: "%.1f h", seconds / 3600)
  }

  static func words(bytes: Int) -> String {
    bytes < 1 << 20
      ? String(format: "%.0f KiB", Double(bytes) / 1024)
      : bytes < 1 << 30
        ? String(format: "%.1f MiB", Double(bytes) / Double(1 << 20))
        : String(format: "%.1f GiB", Double(bytes) / Double(1 << 30))
  }
}
