import Lanes
import Tensor

/// Batch normalisation over the global batch (docs/model.md, "Attention branch"), in steps between which lanes and
/// ranks meet. Its running statistics change with the update, not before (`commit`), so that a refused step leaves no
/// trace.
public final class BatchNorm: @unchecked Sendable {
  public let channels: Int
  public let weight: Parameter
  public let bias: Parameter
  public let runningMean: Statistic
  public let runningVariance: Statistic
  public static let eps = 1e-5
  public static let momentum = 0.1

  public let sums: LaneTable
  private let mean: Buffer
  private let inverse: Buffer
  private let meanDY: Buffer
  private let meanDYX: Buffer
  private var pendingMean: [Double]
  private var pendingVariance: [Double]
  private var hasPending = false

  public init(_ store: ParameterStore, _ name: String, channels: Int, group: ParameterGroup, lanes: Int) {
    self.channels = channels
    weight = store.declare("\(name).weight", [channels], group: group, .ones)
    bias = store.declare("\(name).bias", [channels], group: group, .zeros)
    runningMean = store.declareStatistic("\(name).running_mean", count: channels, startsAtOne: false)
    runningVariance = store.declareStatistic("\(name).running_var", count: channels, startsAtOne: true)
    sums = LaneTable(lanes: lanes, width: 2 * channels)
    mean = Buffer(channels)
    inverse = Buffer(channels)
    meanDY = Buffer(channels)
    meanDYX = Buffer(channels)
    pendingMean = Array(repeating: 0, count: channels)
    pendingVariance = Array(repeating: 0, count: channels)
  }

  /// Adds one sample's rows x [rows, channels] to its lane's sums. The table is cleared first by the caller.
  public func addSums(lane: Int, _ x: ConstFloats, rows: Int) {
    batchNormSums(sums.row(lane), x, rows: rows, channels: channels)
  }

  /// From `sums`, complete over lanes and ranks: the batch's mean and 1/√(var + eps), biased, and what the running
  /// values will become (variance unbiased).
  ///
  /// - Parameter count: rows of the global batch.
  public func finishSums(count: Int) {
    let n = Double(count)
    for c in 0..<channels {
      let mu = sums.total(c) / n
      let variance = max(0, sums.total(channels + c) / n - mu * mu)
      mean.base[c] = Float(mu)
      inverse.base[c] = Float(1 / (variance + Self.eps).squareRoot())
      let unbiased = count > 1 ? variance * n / (n - 1) : variance
      pendingMean[c] = (1 - Self.momentum) * Double(runningMean.values[c]) + Self.momentum * mu
      pendingVariance[c] = (1 - Self.momentum) * Double(runningVariance.values[c]) + Self.momentum * unbiased
    }
    hasPending = true
  }

  /// y [rows, channels] = the normalised x by the batch's statistics, with a ReLU where asked.
  public func forward(_ y: Floats, _ x: ConstFloats, relu: Bool, rows: Int) {
    batchNormApply(
      y, x, mean: mean.base, inverse: inverse.base, weight: weight.values, bias: bias.values, relu: relu,
      rows: rows, channels: channels)
  }

  /// The gradient of `forward`'s ReLU, which is made again of x: dx = dy where it is positive, else 0; dx may be dy.
  public func reluBackward(_ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, rows: Int) {
    batchNormReLUBackward(
      dx, dy, x, mean: mean.base, inverse: inverse.base, weight: weight.values, bias: bias.values, rows: rows,
      channels: channels)
  }

  /// Adds one sample's share of Σ dy and Σ dy·x̂ to its lane's sums.
  public func addBackwardSums(lane: Int, _ dy: ConstFloats, _ x: ConstFloats, rows: Int) {
    batchNormBackwardSums(
      sums.row(lane), dy, x, mean: mean.base, inverse: inverse.base, rows: rows, channels: channels)
  }

  /// Writes a lane's own share of dWeight and dBias; the ordinary gradient reduction adds up the lanes.
  public func writeGradients(lane: Int, slot: GradientSlot) {
    let row = sums.row(lane)
    let dWeight = slot.of(weight)
    let dBias = slot.of(bias)
    for c in 0..<channels {
      dBias[c] += Float(row[c])
      dWeight[c] += Float(row[channels + c])
    }
  }

  /// From the backward `sums`, complete over lanes and ranks: what `backward` subtracts.
  ///
  /// - Parameter count: rows of the global batch.
  public func finishBackwardSums(count: Int) {
    for c in 0..<channels {
      meanDY.base[c] = Float(sums.total(c) / Double(count))
      meanDYX.base[c] = Float(sums.total(channels + c) / Double(count))
    }
  }

  /// dx [rows, channels] of dy; dx may be dy.
  public func backward(_ dx: Floats, _ dy: ConstFloats, _ x: ConstFloats, rows: Int) {
    batchNormBackwardApply(
      dx, dy, x, mean: mean.base, inverse: inverse.base, weight: weight.values, meanDY: meanDY.base,
      meanDYX: meanDYX.base, rows: rows, channels: channels)
  }

  /// Whether the running statistics to come are numbers that float32 holds.
  public var isPendingFinite: Bool {
    !hasPending || (0..<channels).allSatisfy { Float(pendingMean[$0]).isFinite && Float(pendingVariance[$0]).isFinite }
  }

  /// Makes the running statistics those of the last forward pass.
  public func commit() {
    guard hasPending else { return }
    for c in 0..<channels {
      runningMean.values[c] = Float(pendingMean[c])
      runningVariance.values[c] = Float(pendingVariance[c])
    }
    hasPending = false
  }

  /// Forgets the last forward pass: its step was refused.
  public func discard() { hasPending = false }

  /// y = the normalised x by the running statistics: inference. Safe from several threads.
  ///
  /// - Parameter scratch: [channels].
  public func infer(_ y: Floats, _ x: ConstFloats, relu: Bool, rows: Int, scratch: Floats) {
    writeRunningInverse(scratch)
    infer(y, x, relu: relu, rows: rows, inverse: scratch)
  }

  /// inverse [channels] = 1/√(running variance + eps).
  public func writeRunningInverse(_ inverse: Floats) {
    for c in 0..<channels { inverse[c] = runningInverse(c) }
  }

  /// The same of rows at a time.
  ///
  /// - Parameter inverse: of `writeRunningInverse`.
  public func infer(_ y: Floats, _ x: ConstFloats, relu: Bool, rows: Int, inverse: ConstFloats) {
    batchNormApply(
      y, x, mean: runningMean.values, inverse: inverse, weight: weight.values, bias: bias.values, relu: relu,
      rows: rows, channels: channels)
  }

  /// The gradient of `infer` without its ReLU, the running statistics being constants; dx [rows, channels] may be dy.
  public func inferBackward(_ dx: Floats, _ dy: ConstFloats, rows: Int) {
    for c in 0..<channels {
      let factor = weight.values[c] * runningInverse(c)
      for r in 0..<rows { dx[r * channels + c] = dy[r * channels + c] * factor }
    }
  }

  /// 1/√(var + eps) of a channel's running variance.
  private func runningInverse(_ channel: Int) -> Float {
    Float(1 / (Double(runningVariance.values[channel]) + Self.eps).squareRoot())
  }
}
