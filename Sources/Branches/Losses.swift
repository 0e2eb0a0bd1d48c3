import Networks
import Tensor

extension LanePass {
  /// Adds the cross-entropy of a sample's logits [C] to a part of the loss, and leaves its gradient in `dLogits`, as a
  /// share of the mean over the global batch.
  ///
  /// - Parameter weight: of the part in the whole loss.
  package func addCrossEntropy(
    _ part: Int, _ sample: LaneSample, _ logits: ConstFloats, dLogits: Floats, classes C: Int, weight: Double = 1
  ) {
    addLoss(part, sample, crossEntropy(logits, label: sample.label, classes: C))
    crossEntropyBackward(
      dLogits, logits, label: sample.label, classes: C, scale: Float(1 / Double(plan.batch) * weight))
  }

  /// Counts the sample where its label has the largest logit, the first among equals.
  package func countIfRight(_ sample: LaneSample, _ logits: ConstFloats, classes C: Int) {
    var best = 0
    for index in 1..<max(C, 1) where logits[index] > logits[best] { best = index }
    if best == sample.label { addCorrect(sample) }
  }
}

/// softmax of logits [C].
package func probabilities(_ logits: ConstFloats, classes C: Int) -> [Float] {
  [Float](unsafeUninitializedCapacity: C) { target, count in
    count = C
    if let base = target.baseAddress { softmax(base, logits, C) }
  }
}
