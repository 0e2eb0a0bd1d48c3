import Failures
import Layers
import Networks
import Randomness
import Tensor

extension ParameterGroup {
  package static let perception = ParameterGroup("perception")
}

extension ProfiledPart {
  package static let perceptionBranch = ProfiledPart("perception branch")
}

/// The Perception Branch, PB (docs/model.md, "Perception branch"): classifies u = h⁽ᵏ⁾ ⊙ h_AB. Its prediction is the
/// model's.
///
/// The methods are the pieces between the batch norms, at which lanes and ranks meet.
package struct PerceptionBranch: Sendable {
  package let options: PerceptionOptions
  /// g.
  package let grid: Int
  /// D.
  package let width: Int
  /// C.
  package let classes: Int
  package let inputNorm: LayerNorm?
  package let stages: [Stage]
  package let classifier: Linear
  /// What a region of the backward pass makes the gradients of, by stage: its convolution and the norm before it; last
  /// the last norm and the classifier.
  package let segments: [Range<Int>]

  /// conv3×3, BN, ReLU, max-pool.
  package struct Stage: Sendable {
    package let convolution: Convolution
    package let norm: BatchNorm
    /// Of the stage's input.
    package let grid: Int
    package var channels: Int { convolution.outputs }
    package var pooledGrid: Int { grid / 2 }
  }

  /// - Throws: `Failure` 78 for options that do not fit a grid.
  package static func check(_ options: PerceptionOptions, grid: Int) throws {
    guard grid >> options.channels.count >= 1 else {
      throw Failure.badConfiguration(
        "perception.channels has \(options.channels.count) stages, each of which halves the grid: "
          + "\(grid) x \(grid) patches are too few (image.size)")
    }
  }

  /// - Parameter prefix: of its tensors' names.
  package init(
    _ store: ParameterStore, _ options: PerceptionOptions, prefix: String = "", grid: Int, width D: Int,
    classes C: Int, lanes: Int
  ) {
    self.options = options
    self.grid = grid
    width = D
    classes = C
    inputNorm = options.inputNorm == .layernorm ? LayerNorm(width: D, eps: 1e-6, weight: nil, bias: nil) : nil
    var stages: [Stage] = []
    var starts = [store.count]
    var inputs = D
    var g = grid
    for (index, channels) in options.channels.enumerated() {
      let stem = "\(prefix)perception.stages.\(index + 1)"
      stages.append(
        Stage(
          convolution: Convolution(
            store, "\(stem).conv", inputs: inputs, outputs: channels, kernel: 3, padding: .zeros, group: .perception,
            initialiser: Convolution.kaimingFanOut(outputs: channels, kernel: 3)),
          norm: BatchNorm(store, "\(stem).norm", channels: channels, group: .perception, lanes: lanes), grid: g))
      if let last = stages.last { starts.append(last.norm.weight.offset) }
      inputs = channels
      g /= 2
    }
    self.stages = stages
    let bound = 1 / Double(inputs).squareRoot()
    classifier = Linear(
      store, "\(prefix)perception.classifier", inputs: inputs, outputs: C, group: .perception, weight: .uniform(bound),
      bias: .uniform(bound))
    segments = zip(starts, starts.dropFirst() + [store.count]).map { $0..<$1 }
  }

  /// Channels of the last stage.
  package var features: Int { classifier.inputs }

  /// Where one sample's values lie.
  package struct Places: Sendable {
    /// The normed h⁽ᵏ⁾ [N, D] and its statistics, where there is an input norm.
    package let normed: Int
    package let mean: Int
    package let inverse: Int
    /// By stage: before its norm and after ReLU [g·g, c]; pooled [h·h, c]; the maxima's places, as bytes.
    package let convolved: [Int]
    package let activated: [Int]
    package let pooled: [Int]
    package let winners: [Int]
    /// [c] after GAP, what dropout multiplies with, and the classifier's input.
    package let averaged: Int
    package let kept: Int
    package let dropped: Int
    /// [C].
    package let logits: Int
    package let dLogits: Int
    /// Gradients of the stages' outputs [g·g, c].
    package let gradients: [Int]
  }

  package func places(_ layout: inout Layout) -> Places {
    let N = grid * grid
    let hasNorm = inputNorm != nil
    return Places(
      normed: layout.take(hasNorm ? N * width : 0), mean: layout.take(hasNorm ? N : 0),
      inverse: layout.take(hasNorm ? N : 0),
      convolved: stages.map { layout.take($0.grid * $0.grid * $0.channels) },
      activated: stages.map { layout.take($0.grid * $0.grid * $0.channels) },
      pooled: stages.map { layout.take($0.pooledGrid * $0.pooledGrid * $0.channels) },
      winners: stages.map { layout.take(($0.pooledGrid * $0.pooledGrid * $0.channels + 3) / 4) },
      averaged: layout.take(features), kept: layout.take(features), dropped: layout.take(features),
      logits: layout.take(classes), dLogits: layout.take(classes),
      gradients: stages.map { layout.take($0.grid * $0.grid * $0.channels) })
  }

  package var scratchCount: Int {
    let convolutions = stages.map { $0.convolution.scratchCount(grid: $0.grid) }.max() ?? 0
    let maps = stages.map { $0.grid * $0.grid * $0.convolution.inputs }.max() ?? 0
    return convolutions + maps + 2 * features + 96
  }

  private func winners(_ memory: Floats, _ offset: Int) -> UnsafeMutablePointer<UInt8> {
    UnsafeMutableRawPointer(memory + offset).assumingMemoryBound(to: UInt8.self)
  }

  // MARK: Forward

  /// What α multiplies: h⁽ᵏ⁾'s patch tokens, normed where asked. [N, D].
  package func prepareInput(_ memory: Floats, _ at: Places, h: ConstFloats) -> ConstFloats {
    guard let inputNorm else { return h }
    inputNorm.forward(
      memory + at.normed, h, mean: memory + at.mean, inverse: memory + at.inverse, rows: grid * grid)
    return ConstFloats(memory + at.normed)
  }

  /// Stage 1's convolution of x ⊙ α, before its norm; α nil stands for 1.
  package func forwardFirst(_ memory: Floats, _ at: Places, input x: ConstFloats, alpha: ConstFloats?, scratch: Floats)
    -> Floats
  {
    stages[0].convolution.forward(memory + at.convolved[0], x, factors: alpha, grid: grid, scratch: scratch)
    return memory + at.convolved[0]
  }

  /// The end of stage `index` (from 0): norm by the batch's statistics, ReLU, max-pool.
  private func finishStage(_ index: Int, _ memory: Floats, _ at: Places) {
    stages[index].norm.forward(
      memory + at.activated[index], memory + at.convolved[index], relu: true,
      rows: stages[index].grid * stages[index].grid)
    pool(index, memory, at)
  }

  func pool(_ index: Int, _ memory: Floats, _ at: Places) {
    maxPool(
      memory + at.pooled[index], winners: winners(memory, at.winners[index]), memory + at.activated[index],
      grid: stages[index].grid, channels: stages[index].channels)
  }

  /// The end of stage `index` − 1 and the convolution of stage `index`, before its norm.
  package func forwardStage(_ index: Int, _ memory: Floats, _ at: Places, scratch: Floats) -> Floats {
    finishStage(index - 1, memory, at)
    stages[index].convolution.forward(
      memory + at.convolved[index], memory + at.pooled[index - 1], grid: stages[index].grid, scratch: scratch)
    return memory + at.convolved[index]
  }

  /// The end of the last stage, GAP, dropout and the logits.
  package func forwardLogits(_ memory: Floats, _ at: Places, draw: RandomStream?) {
    finishStage(stages.count - 1, memory, at)
    classify(memory, at, draw: draw)
  }

  func classify(_ memory: Floats, _ at: Places, draw: RandomStream?) {
    let last = stages.count - 1
    let cells = stages[last].pooledGrid * stages[last].pooledGrid
    globalAveragePool(memory + at.averaged, memory + at.pooled[last], rows: cells, channels: features)
    let kept = memory + at.kept
    kept.update(repeating: 1, count: features)
    if var draw, options.dropout > 0 {
      let factor = Float(1 / (1 - options.dropout))
      for c in 0..<features { kept[c] = draw.uniform() < options.dropout ? 0 : factor }
    }
    for c in 0..<features { memory[at.dropped + c] = memory[at.averaged + c] * kept[c] }
    classifier.forward(memory + at.logits, memory + at.dropped, low: nil, rows: 1)
  }

  // MARK: Backward

  /// From dLogits to the gradient of the last stage's norm.
  package func backwardLogits(_ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats) -> (
    dy: Floats, x: Floats
  ) {
    let last = stages.count - 1
    let cells = stages[last].pooledGrid * stages[last].pooledGrid
    let dAveraged = scratch
    classifier.backward(
      dAveraged, memory + at.dLogits, memory + at.dropped, low: nil, slot: slot, scratch: nil, rows: 1)
    for c in 0..<features { dAveraged[c] *= memory[at.kept + c] }
    let dPooled = scratch + (features + 16)
    globalAveragePoolBackward(dPooled, dAveraged, rows: cells, channels: features)
    return backwardPool(last, memory, at, dPooled: dPooled)
  }

  func backwardPool(_ index: Int, _ memory: Floats, _ at: Places, dPooled: ConstFloats) -> (
    dy: Floats, x: Floats
  ) {
    let stage = stages[index]
    let d = memory + at.gradients[index]
    maxPoolBackward(
      d, dPooled, winners: winners(memory, at.winners[index]), grid: stage.grid, channels: stage.channels)
    reluBackward(d, d, memory + at.activated[index], stage.grid * stage.grid * stage.channels)
    return (d, memory + at.convolved[index])
  }

  /// Through the norm and convolution of stage `index` ≥ 1 to the gradient of the norm of the stage before.
  package func backwardStage(
    _ index: Int, _ memory: Floats, _ at: Places, slot: GradientSlot, scratch: Floats
  ) -> (dy: Floats, x: Floats) {
    let stage = stages[index]
    let d = memory + at.gradients[index]
    stage.norm.backward(d, d, memory + at.convolved[index], rows: stage.grid * stage.grid)
    let dPooled = scratch + stage.convolution.scratchCount(grid: stage.grid)
    stage.convolution.backward(
      dPooled, d, memory + at.pooled[index - 1], grid: stage.grid, slot: slot, scratch: scratch)
    return backwardPool(index - 1, memory, at, dPooled: dPooled)
  }

  /// Through stage 1 to the gradients of h⁽ᵏ⁾'s patch tokens (added to dh) and of α.
  ///
  /// - Parameters:
  ///   - dh: [N, D], or nil where the encoder is not trained.
  ///   - alpha, dAlpha: [N], or nil where h_AB = 1.
  package func backwardFirst(
    _ dh: Floats?, dAlpha: Floats?, _ memory: Floats, _ at: Places, h: ConstFloats, alpha: ConstFloats?,
    slot: GradientSlot, scratch: Floats
  ) {
    let N = grid * grid
    let stage = stages[0]
    let d = memory + at.gradients[0]
    let x = inputNorm == nil ? h : ConstFloats(memory + at.normed)
    stage.norm.backward(d, d, memory + at.convolved[0], rows: N)
    let needsInput = dh != nil || dAlpha != nil
    let du = scratch + stage.convolution.scratchCount(grid: grid)
    stage.convolution.backward(
      needsInput ? du : nil, d, x, factors: alpha, grid: grid, slot: slot, scratch: scratch)
    guard needsInput else { return }
    if let alpha, let dAlpha {
      scaleRowsBackward(du, dAlpha, du, x, alpha, rows: N, columns: width)
    }
    guard let dh else { return }
    if let inputNorm {
      inputNorm.backward(
        dh, du, h, mean: memory + at.mean, inverse: memory + at.inverse, slot: slot, rows: N)
    } else {
      accumulate(dh, du, N * width)
    }
  }

  /// Adds the matrix products of a sample.
  ///
  /// - Parameter needsInput: whether its input's gradient is made.
  package func addProducts(_ count: inout ProductCount, isBackward: Bool, needsInput: Bool) {
    for (index, stage) in stages.enumerated() {
      count.convolution(
        stage.convolution, grid: stage.grid, isBackward: isBackward, needsInput: index > 0 || needsInput)
    }
    count.linear(classifier, rows: 1, isBackward: isBackward, isTrained: true)
  }

  // MARK: The regions of a pass

  /// The grid cells of a stage.
  private func cells(_ stage: Int) -> Int { stages[stage].grid * stages[stage].grid }

  /// Forward to the last norm.
  ///
  /// - Parameters:
  ///   - factors: makes a sample's h⁽ᵏ⁾ and h_AB ready, and says h_AB [N]; nil stands for 1.
  ///   - h: the sample's h⁽ᵏ⁾ without its class token [N, D].
  package func forward(
    _ lanes: LanePass, _ at: Places, h: (Floats) -> ConstFloats,
    factors: (LaneSample, Floats, Floats) -> ConstFloats?
  ) {
    lanes.forward(.perceptionBranch, stages[0].norm, rows: cells(0)) { sample, m, scratch in
      let alpha = factors(sample, m, scratch)
      let x = prepareInput(m, at, h: h(m))
      return forwardFirst(m, at, input: x, alpha: alpha, scratch: scratch)
    }
    for index in 1..<max(stages.count, 1) {
      lanes.forward(.perceptionBranch, stages[index].norm, rows: cells(index)) { _, m, scratch in
        forwardStage(index, m, at, scratch: scratch)
      }
    }
  }

  /// From the gradient of the logits, in `dLogits`.
  ///
  /// - Parameter first: ends it for a sample, by `backwardFirst`.
  package func backward(_ lanes: LanePass, _ at: Places, first: (Floats, GradientSlot, Floats) -> Void) {
    let last = stages.count - 1
    lanes.backward(.perceptionBranch, stages[last].norm, rows: cells(last), summing: segments[last + 1]) {
      _, m, slot, scratch in
      backwardLogits(m, at, slot: slot, scratch: scratch)
    }
    for index in stride(from: last, to: 0, by: -1) {
      lanes.backward(.perceptionBranch, stages[index - 1].norm, rows: cells(index - 1), summing: segments[index]) {
        _, m, slot, scratch in
        backwardStage(index, m, at, slot: slot, scratch: scratch)
      }
    }
    lanes.region(.perceptionBranch, summing: segments[0]) { _, m, slot, scratch in first(m, slot, scratch) }
  }
}
