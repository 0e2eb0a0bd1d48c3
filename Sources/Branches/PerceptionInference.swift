import Layers
import Tensor

// The perception branch by its norms' running statistics, and the gradient of a logit as methods ask for it.

extension PerceptionBranch {
  /// The logits [C] of x ⊙ α by the running statistics, in the sample's memory.
  package func infer(_ memory: Floats, _ at: Places, h: ConstFloats, alpha: ConstFloats?, scratch: Floats) {
    let x = prepareInput(memory, at, h: h)
    _ = forwardFirst(memory, at, input: x, alpha: alpha, scratch: scratch)
    for (index, stage) in stages.enumerated() {
      if index > 0 {
        stage.convolution.forward(
          memory + at.convolved[index], memory + at.pooled[index - 1], grid: stage.grid, scratch: scratch)
      }
      stage.norm.infer(
        memory + at.activated[index], memory + at.convolved[index], relu: true, rows: stage.grid * stage.grid,
        scratch: scratch)
      pool(index, memory, at)
    }
    classify(memory, at, draw: nil)
  }

  /// What α multiplies [N, D], after `infer`.
  package func input(_ memory: Floats, _ at: Places, h: ConstFloats) -> ConstFloats {
    inputNorm == nil ? h : ConstFloats(memory + at.normed)
  }

  /// The gradient of a class's logit with respect to what α multiplies [N, D], α being a constant; after `infer`. It
  /// lies in scratch.
  package func inferBackward(
    ofLogit label: Int, _ memory: Floats, _ at: Places, alpha: ConstFloats?, scratch: Floats
  ) -> Floats {
    let last = stages.count - 1
    var dInput = scratch
    globalAveragePoolBackward(
      dInput, classifier.weight.values + label * features, rows: stages[last].pooledGrid * stages[last].pooledGrid,
      channels: features)
    for index in stride(from: last, through: 0, by: -1) {
      let stage = stages[index]
      let d = backwardPool(index, memory, at, dPooled: dInput).dy
      stage.norm.inferBackward(d, d, rows: stage.grid * stage.grid)
      dInput = scratch + stage.convolution.scratchCount(grid: stage.grid)
      stage.convolution.backwardInput(dInput, d, grid: stage.grid, scratch: scratch)
    }
    if let alpha { scaleRows(dInput, dInput, alpha, rows: grid * grid, columns: width) }
    return dInput
  }
}
