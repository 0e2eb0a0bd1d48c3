import Encoder
import Failures

/// What shapes a decoder and its loss; the settings of the same names.
public struct FCAMOptions: Equatable, Sendable {
  /// The layers whose features are skipped to the stages, spread over them; see `stageLayers`.
  public var skips: [Int] = []
  /// Channels of the stages, from the coarsest; see `stageWidths`.
  public var widths = [256, 128, 64, 32]

  // Seeds.
  /// The side of the square of ones that the foreground's region is eroded by; odd.
  public var erosion = 11
  /// The side of a seed; odd.
  public var dilation = 3
  /// The share of pixels, the lowest of the map, that a background seed is drawn from.
  public var backgroundShare = 0.1

  // The loss.
  public var seedWeight = 1.0
  public var sizeWeight = 0.1
  public var crfWeight = 2e-9
  /// Deviations of the CRF's Gaussian, in pixels and in levels of 255.
  public var sigmaXY = 100.0
  public var sigmaRGB = 15.0
  public var barrier = LogBarrier()

  /// The run's, of which validation draws its seeds.
  public var seed: UInt64 = 0
  /// The run's last epoch, whose barrier validation is measured with.
  public var epochs = 1
  /// How many lanes a global batch is cut into.
  public var lanes = 4

  public init() {}

  /// How many times a map is doubled from [g, g] to [S, S].
  ///
  /// - Throws: `Failure` 78 for a patch that is no power of two.
  package static func stageCount(patch: Int) throws -> Int {
    guard patch >= 2, patch & (patch - 1) == 0 else {
      throw Failure.badConfiguration(
        "model.kind fcam doubles the grid of patches up to the image; the patches of encoder.weights are \(patch) pixels wide, which is no power of two"
      )
    }
    return patch.trailingZeroBitCount
  }

  /// The stages' channels: as many as there are stages; where more are needed, each half of the one before.
  package func stageWidths(_ count: Int) -> [Int] {
    var result = Array(widths.prefix(count))
    while result.count < count { result.append(max((result.last ?? 2) / 2, 1)) }
    return result
  }

  /// The stages' layers: of n stages the i-th, from 0, takes entry ⌊i·entries/n⌋; nil where there are none.
  package func stageLayers(_ count: Int) -> [Int?] {
    (0..<count).map { skips.isEmpty ? nil : skips[$0 * skips.count / count] }
  }

  /// - Throws: `Failure` 78 for options that do not fit the encoder.
  func check(_ encoder: ImageEncoder) throws {
    if let wrong = skips.first(where: { !(0...encoder.depth).contains($0) }) {
      throw Failure.badConfiguration(
        "fcam.skips (null: those of side.fusion) names layer \(wrong); the encoder runs blocks 1 to \(encoder.depth), so layers 0 to \(encoder.depth) can be skipped from"
      )
    }
  }
}
