import Encoder
import Metrics
import Networks
import Tensor

/// One image's perturbed views, as the patches that the model reads: insertion reveals the view over its substrate,
/// deletion covers it. Only the pixels that a point adds are written.
struct PerturbedViews: @unchecked Sendable {
  enum Direction: CaseIterable {
    case insertion
    case deletion
  }

  private let encoder: ImageEncoder
  private let plan: PerturbationPlan
  /// [N, 3·p·p].
  private let view: Buffer
  private let substrate: Buffer

  /// - Parameter pixels: the view [S, S, 3].
  init(_ encoder: ImageEncoder, pixels: [UInt8], plan: PerturbationPlan, substrate kind: Substrate) {
    self.encoder = encoder
    self.plan = plan
    let count = encoder.patchCount * encoder.patchValues
    let (view, substrate) = (Buffer(count), Buffer(count))
    (self.view, self.substrate) = (view, substrate)
    pixels.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { encoder.patchify(view.base, pixels: base) }
    }
    let side = encoder.grid * encoder.patch
    let levels = kind.levels(of: pixels, side: side, means: encoder.mean.map { $0 * 255 })
    levels.withUnsafeBufferPointer { buffer in
      if let base = buffer.baseAddress { encoder.patchify(substrate.base, pixels: base) }
    }
  }

  /// The target class's probability at consecutive points of a curve. Any piece of a curve gives the bits that the
  /// whole one has there.
  ///
  /// - Parameter isStopped: asked before each point; true ends the piece.
  /// - Returns: the values of the first points of `points`, of all where nothing stopped them.
  func values(
    _ direction: Direction, points: Range<Int>, _ inference: any NetworkInference, target: Int, isStopped: () -> Bool
  ) -> [Double] {
    let (start, added) = direction == .insertion ? (substrate, view) : (view, substrate)
    copy(inference.patches, start.base, start.count)
    var done = 0
    var values: [Double] = []
    for count in plan.counts[points] {
      if isStopped() { break }
      for index in plan.order[done..<count] { copyPixel(Int(index), from: added.base, to: inference.patches) }
      done = count
      inference.run(.pixels)
      values.append(Double(inference.probabilities()[target]))
    }
    return values
  }

  private func copyPixel(_ index: Int, from source: ConstFloats, to target: Floats) {
    let p = encoder.patch
    let (row, column) = index.quotientAndRemainder(dividingBy: encoder.grid * p)
    let first = (row / p * encoder.grid + column / p) * encoder.patchValues + row % p * p + column % p
    for channel in 0..<3 { target[first + channel * p * p] = source[first + channel * p * p] }
  }
}
