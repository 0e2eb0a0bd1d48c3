import Foundation
import Tensor

/// The three parts of a decoder's loss for one image, and their gradients (docs/model.md, "F-CAM").
package struct DecoderLoss: Sendable {
  let options: FCAMOptions
  /// S.
  let side: Int

  package init(options: FCAMOptions, side: Int) {
    self.options = options
    self.side = side
  }

  private var pixels: Int { side * side }

  package struct Values {
    /// Σ over the seeded pixels of their cross-entropy.
    package var seeds = 0.0
    /// The barrier's mean over both classes.
    package var size = 0.0
    /// −Σ_c S_cᵀ W S_c.
    package var crf = 0.0
  }

  /// What `run` needs room for beside the picture's colours and the gradient: the lattice, if there is one.
  package var scratchCount: Int { options.crfWeight > 0 ? PermutohedralLattice.count(pixels: pixels) : 0 }

  /// - Parameters:
  ///   - scores: logits [S·S, 2] of background and foreground; become S, their softmax.
  ///   - gradient: [S·S, 2], overwritten with the gradient of the logits; nil where it is not wanted.
  ///   - colours: [S, S, 3], 0…255.
  ///   - seedScale, imageScale: what a seeded pixel's cross-entropy and an image's other parts are multiplied with in
  ///     the mean over the batch.
  package func run(
    _ scores: Floats, gradient: Floats?, colours: ConstFloats, seeds: SeededPixels, t: Double, seedScale: Double,
    imageScale: Double, scratch: Floats
  ) -> Values {
    var values = Values()
    values.seeds = seedCrossEntropy(scores, seeds)
    softmaxOfTwo(scores, rows: pixels)
    var slopes = (Float(0), Float(0))
    for c in 0..<2 {
      var total = 0.0
      for pixel in 0..<pixels { total += Double(scores[2 * pixel + c]) }
      values.size += 0.5 * LogBarrier.value(-total, t: t)
      let slope = Float(-0.5 * options.sizeWeight * imageScale * LogBarrier.derivative(-total, t: t))
      if c == 0 { slopes.0 = slope } else { slopes.1 = slope }
    }
    if let gradient {
      for pixel in 0..<pixels { (gradient[2 * pixel], gradient[2 * pixel + 1]) = slopes }
    }
    if options.crfWeight > 0 {
      var lattice = PermutohedralLattice(scratch, pixels: pixels)
      lattice.build(
        side: side, colours: colours, sigmaXY: Float(options.sigmaXY), sigmaRGB: Float(options.sigmaRGB))
      values.crf = -lattice.quadraticForm(
        scores, gradient: gradient, factor: Float(-options.crfWeight * imageScale))
    }
    if let gradient {
      softmaxOfTwoBackward(gradient, scores, rows: pixels)
      addSeedGradient(gradient, scores, seeds, scale: Float(options.seedWeight * seedScale))
    }
    return values
  }

  private func seedCrossEntropy(_ logits: ConstFloats, _ seeds: SeededPixels) -> Double {
    var total = 0.0
    seeds.forEach { pixel, label in total += crossEntropy(logits + 2 * pixel, label: label, classes: 2) }
    return total
  }

  private func addSeedGradient(_ gradient: Floats, _ s: ConstFloats, _ seeds: SeededPixels, scale: Float) {
    seeds.forEach { pixel, label in
      for c in 0..<2 { gradient[2 * pixel + c] += scale * (s[2 * pixel + c] - (c == label ? 1 : 0)) }
    }
  }
}
