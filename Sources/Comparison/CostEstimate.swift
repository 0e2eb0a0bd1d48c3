import Estimation

/// What the stages of a plan will take, by what its networks were measured to take.
struct CostEstimate {
  let plan: TablePlan

  /// A stage's own work, and what it takes to begin.
  func seconds(_ stage: Stage) -> Double { plan.secondsToBegin + workSeconds(stage) }

  private func workSeconds(_ stage: Stage) -> Double {
    switch stage {
    case .cache(let index, _):
      let cache = plan.caches[index]
      return cost(cache.maker).cachingSeconds(firstLoRABlock: cache.firstLoRABlock, plan.facts[cache.maker].speed)
    case .train(let network, _):
      return cost(network).trainingSeconds(plan.facts[network].speed)
    case .evaluate(let index, _):
      let row = plan.rows[index]
      return cost(row).evaluationSeconds(
        row.method, images: plan.evaluatedCount, validation: plan.grounds[row.network].validCount,
        plan.facts[row.network].speed)
    }
  }

  func bytes(_ stage: Stage) -> Int {
    switch stage {
    case .cache(let index, _):
      return cost(plan.caches[index].maker).cacheBytes(layers: plan.caches[index].layers.count)
    case .train(let network, _): return cost(network).checkpointBytes + cost(network).logBytes
    case .evaluate(let index, _):
      return cost(plan.rows[index]).evaluationBytes(plan.rows[index].method, images: plan.evaluatedCount)
    }
  }

  /// Of the table's own files at most: the figure, and the page, which holds it in letters.
  var tableBytes: Int {
    let panels = QualitativeFigure.mostImages * (plan.rows.count + 1)
    let figure = Double(panels) * WorkCost.bytes(side: QualitativeFigure.panelPixels)
    return Int(figure * (1 + 4.0 / 3))
  }

  private func cost(_ network: Int) -> WorkCost {
    WorkCost(
      plan.networks[network].configuration, ground: plan.grounds[network], shape: plan.facts[network].shape)
  }

  private func cost(_ row: ComparedRow) -> WorkCost {
    WorkCost(row.configuration, ground: plan.grounds[row.network], shape: plan.facts[row.network].shape)
  }
}
