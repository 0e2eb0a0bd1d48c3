import Failures
import Foundation
import Randomness

/// Views: what the model sees of an image, as a pure function of (seed, image id, view) (docs/model.md, "Data and
/// order").

/// How views are made; part of a cache's fingerprint.
public struct ViewDefinition: Equatable, Sendable {
  /// What training views are.
  public enum Augmentation: Equatable, Sendable {
    /// The evaluation view.
    case none
    /// Shorter side to `resize` pixels, a random S×S crop, a horizontal flip with probability `flip`.
    case randomCrop(resize: Int, flip: Double)
  }

  /// S, pixels.
  public let side: Int
  public let augmentation: Augmentation

  public init(side: Int, augmentation: Augmentation) {
    self.side = side
    self.augmentation = augmentation
  }

  /// The view that validation, test and explanations use.
  public static let evaluationView = -1

  /// Where view `view` of an image of the given size lies. View −1 is the evaluation view; views count from 0.
  public func geometry(width: Int, height: Int, seed: UInt64, imageID: Int, view: Int) -> ViewGeometry {
    guard case .randomCrop(let resize, let flip) = augmentation, view != Self.evaluationView else {
      let (w, h) = Self.scaled(width: width, height: height, shorter: side)
      return ViewGeometry(
        scaledWidth: w, scaledHeight: h, cropX: Self.centre(w - side), cropY: Self.centre(h - side), side: side,
        isFlipped: false)
    }
    var stream = RandomStream(
      seed: seed, name: "view",
      index: UInt64(UInt32(truncatingIfNeeded: imageID)) << 32
        | UInt64(UInt32(truncatingIfNeeded: view)))
    let (w, h) = Self.scaled(width: width, height: height, shorter: max(resize, side))
    let x = stream.integer(below: w - side + 1)
    let y = stream.integer(below: h - side + 1)
    return ViewGeometry(
      scaledWidth: w, scaledHeight: h, cropX: x, cropY: y, side: side, isFlipped: stream.uniform() < flip)
  }

  /// Shorter side to `shorter`, the longer to ⌊shorter·long/short⌋.
  private static func scaled(width: Int, height: Int, shorter: Int) -> (Int, Int) {
    width <= height ? (shorter, shorter * height / width) : (shorter * width / height, shorter)
  }

  /// n/2, rounded half to even, as torchvision's centre crop.
  private static func centre(_ n: Int) -> Int { Int((Double(n) / 2).rounded(.toNearestOrEven)) }

  /// A canonical description, for fingerprints.
  ///
  /// - Parameter seed: the run's, which training views depend on.
  public func json(seed: UInt64) -> String {
    switch augmentation {
    case .none: "{\"augment\":\"none\",\"size\":\(side)}"
    case .randomCrop(let resize, let flip):
      "{\"augment\":{\"crop\":\"random\",\"flip\":\(flip),\"resize\":\(resize)},\"seed\":\(seed),\"size\":\(side)}"
    }
  }
}

/// A box in pixels; half-open: it covers x0 ≤ x < x1.
public struct Box: Equatable, Codable, Sendable {
  public var x0: Double
  public var y0: Double
  public var x1: Double
  public var y1: Double

  public init(x0: Double, y0: Double, x1: Double, y1: Double) {
    self.x0 = x0
    self.y0 = y0
    self.x1 = x1
    self.y1 = y1
  }
}

/// One view's way from the stored image: resize, crop, flip. Masks and boxes take the same way.
public struct ViewGeometry: Equatable, Sendable {
  public let scaledWidth: Int
  public let scaledHeight: Int
  public let cropX: Int
  public let cropY: Int
  /// S.
  public let side: Int
  public let isFlipped: Bool

  public init(scaledWidth: Int, scaledHeight: Int, cropX: Int, cropY: Int, side: Int, isFlipped: Bool) {
    self.scaledWidth = scaledWidth
    self.scaledHeight = scaledHeight
    self.cropX = cropX
    self.cropY = cropY
    self.side = side
    self.isFlipped = isFlipped
  }

  /// The view's pixels [S, S, 3].
  public func render(_ image: RGBImage) -> [UInt8] {
    var view = resizeBicubic(
      image, width: scaledWidth, height: scaledHeight, columns: cropX..<(cropX + side), rows: cropY..<(cropY + side))
    guard isFlipped else { return view.pixels }
    for row in 0..<side {
      for column in 0..<(side / 2) {
        for channel in 0..<3 {
          view.pixels.swapAt((row * side + column) * 3 + channel, (row * side + side - 1 - column) * 3 + channel)
        }
      }
    }
    return view.pixels
  }

  /// A mask's foreground [S, S]: thresholded at its own size, then nearest with half-pixel centres, then the same crop.
  ///
  /// - Parameter threshold: foreground is what lies above it.
  public func render(_ mask: GrayImage, above threshold: Int = standardMaskThreshold) -> [Bool] {
    var result = [Bool](repeating: false, count: side * side)
    let columns = (0..<side).map { Self.nearest(cropX + $0, from: mask.width, to: scaledWidth) }
    for row in 0..<side {
      let source = Self.nearest(cropY + row, from: mask.height, to: scaledHeight) * mask.width
      for column in 0..<side {
        result[row * side + (isFlipped ? side - 1 - column : column)] =
          Int(mask.pixels[source + columns[column]]) > threshold
      }
    }
    return result
  }

  /// A mask's foreground [S, S] by the authors' earlier protocol: whatever is not zero after a bilinear resize.
  public func renderNonZero(_ mask: GrayImage) -> [Bool] {
    var result = [Bool](repeating: false, count: side * side)
    let columns = (0..<side).map { Self.neighbours(cropX + $0, from: mask.width, to: scaledWidth) }
    for row in 0..<side {
      let rows = Self.neighbours(cropY + row, from: mask.height, to: scaledHeight)
      for column in 0..<side {
        result[row * side + (isFlipped ? side - 1 - column : column)] = rows.contains { y in
          columns[column].contains { x in mask.pixels[y * mask.width + x] > 0 }
        }
      }
    }
    return result
  }

  /// The source positions that have a weight in a bilinear resize with half-pixel centres.
  private static func neighbours(_ target: Int, from: Int, to: Int) -> ClosedRange<Int> {
    let position = min(max((Double(target) + 0.5) * Double(from) / Double(to) - 0.5, 0), Double(from - 1))
    return Int(position)...Int(position.rounded(.up))
  }

  private static func nearest(_ target: Int, from: Int, to: Int) -> Int {
    min(Int((Double(target) + 0.5) * Double(from) / Double(to)), from - 1)
  }

  /// A box of the stored image in the view's pixels, clipped to the view; nil where nothing is left of it.
  ///
  /// - Parameters:
  ///   - width, height: of the stored image.
  public func transform(_ box: Box, width: Int, height: Int) -> Box? {
    let (sx, sy) = (Double(scaledWidth) / Double(width), Double(scaledHeight) / Double(height))
    let limit = Double(side)
    var x0 = min(max(max(box.x0, 0) * sx - Double(cropX), 0), limit)
    var x1 = min(max(min(box.x1, Double(width)) * sx - Double(cropX), 0), limit)
    let y0 = min(max(max(box.y0, 0) * sy - Double(cropY), 0), limit)
    let y1 = min(max(min(box.y1, Double(height)) * sy - Double(cropY), 0), limit)
    if isFlipped { (x0, x1) = (limit - x1, limit - x0) }
    return x1 > x0 && y1 > y0 ? Box(x0: x0, y0: y0, x1: x1, y1: y1) : nil
  }
}
