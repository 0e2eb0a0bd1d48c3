import Failures

/// The sizes of an encoder, from its tensors' shapes and the settings.
struct EncoderShape {
  let tower: Tower
  /// D.
  let width: Int
  /// p, pixels.
  let patch: Int
  /// g.
  let grid: Int
  /// The side of the file's own grid.
  let fileGrid: Int
  /// k.
  let depth: Int
  /// The values between a block's fc1 and fc2, in block 1.
  let hidden: Int
  /// Whether a norm stands before block 1, as in CLIP; a plain ViT has none.
  let hasNormBefore: Bool
  let notes: [String]

  /// - Throws: `Failure` 65 for shapes that are no such encoder's, 78 for an image's side or a depth that do not fit.
  init(_ weights: EncoderWeights, _ options: EncoderOptions) throws {
    let tower = weights.tower
    self.tower = tower
    let (spelling, prefix, path) = (tower.spelling, tower.prefix, tower.file.path)
    let patchShape = try weights.tensor(spelling.patchWeight).shape
    guard patchShape.count == 4, patchShape[1] == 3, patchShape[2] == patchShape[3], patchShape[0] > 0,
      patchShape[2] > 0
    else {
      throw Failure.badData(
        "\(path): tensor \(prefix)\(spelling.patchWeight) has shape \(patchShape); expected [width, 3, patch, patch]")
    }
    (width, patch) = (patchShape[0], patchShape[2])
    guard options.imageSide % patch == 0, options.imageSide > 0 else {
      throw Failure.badConfiguration(
        "image.size is \(options.imageSide), which is no multiple of the encoder's patch of \(patch) pixels")
    }
    grid = options.imageSide / patch

    let positionShape = try weights.tensor(spelling.positions).shape
    let rows = positionShape.count >= 2 ? positionShape[positionShape.count - 2] : 0
    let side = Int(Double(max(rows - 1, 0)).squareRoot().rounded())
    guard side > 0, side * side == rows - 1 else {
      throw Failure.badData(
        "\(path): tensor \(prefix)\(spelling.positions) has shape \(positionShape); expected [1 + grid², \(width)]")
    }
    fileGrid = side

    hasNormBefore = weights.has("\(spelling.normBefore).weight")
    guard hasNormBefore || spelling == .timm else {
      throw Failure.badData("\(path): tensor \(prefix)\(spelling.normBefore).weight is missing")
    }
    let hiddenShape = try weights.tensor("\(spelling.block(0)).\(spelling.fc1).weight").shape
    hidden = hiddenShape.first ?? 0

    let available = tower.blockCount
    let count = "\(available) block\(available == 1 ? "" : "s")"
    let openEnd =
      weights.has("\(spelling.normAfter).weight")
      ? nil : "\(path) has \(count), and no norm follows the last (\(prefix)\(spelling.normAfter))"
    if let openEnd, spelling == .timm, hasNormBefore {
      throw Failure.badData(
        "\(openEnd), though one stands before the first: timm's vit_pe_spatial models are so, whose rotary positions this "
          + "encoder cannot compute, or it is a part of a model's weights")
    }
    depth = options.depth ?? available
    let wanted = max(depth, options.loraBlocks.max() ?? 0)
    if let openEnd, wanted > available {
      throw Failure.badData(
        "\(openEnd), where block \(wanted) is asked for (encoder.depth, lora.blocks): is it a part of a model's weights?"
      )
    }
    guard depth >= 1, depth <= available else {
      throw Failure.badConfiguration("encoder.depth is \(depth); \(path) has \(count)")
    }
    notes = depth == available ? openEnd.map { ["\($0): a part of a model's weights?"] } ?? [] : []
  }
}
