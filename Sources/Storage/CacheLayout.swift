import Foundation

/// Which features rows hold, and of what size.
public struct CacheLayout: Equatable, Sendable {
  /// S, pixels.
  public let side: Int
  /// N.
  public let tokens: Int
  /// D.
  public let width: Int
  /// The fused layers that are stored, ascending.
  public let layers: [Int]
  public let type: HDF5Type

  public init(side: Int, tokens: Int, width: Int, layers: [Int], type: HDF5Type) {
    precondition(type == .float16 || type == .float32)
    self.side = side
    self.tokens = tokens
    self.width = width
    self.layers = layers
    self.type = type
  }

  public static func name(ofLayer layer: Int) -> String { String(format: "h%02d", layer) }

  var pixelBytes: Int { side * side * 3 }
  var layerCount: Int { tokens * width }
  var tailCount: Int { (tokens + 1) * width }

  /// The data sets of a file, in the order of their bytes in a row's CRC-32, which covers all but the last two.
  func datasets(rows: Int) -> [(name: String, type: HDF5Type, shape: [Int])] {
    [("image_id", .int32, [rows]), ("view", .int32, [rows]), ("pixels", .uint8, [rows, side, side, 3])]
      + layers.map { (Self.name(ofLayer: $0), type, [rows, tokens, width]) }
      + [("tail", type, [rows, tokens + 1, width]), ("crc32", .uint32, [rows]), ("written", .uint8, [rows])]
  }
}

/// Which view of which image a row holds; view −1 is the evaluation view.
public struct CacheRow: Hashable, Comparable, Sendable {
  public let imageID: Int32
  public let view: Int32

  public init(imageID: Int, view: Int) {
    self.imageID = Int32(imageID)
    self.view = Int32(view)
  }

  init(imageID: Int32, view: Int32) {
    self.imageID = imageID
    self.view = view
  }

  public static func < (one: CacheRow, other: CacheRow) -> Bool {
    (one.imageID, one.view) < (other.imageID, other.view)
  }
}
