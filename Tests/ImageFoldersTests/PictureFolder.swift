import Foundation
import ImageFolders
import Images
import TestSupport

/// A folder of pictures as people keep them, for a test.
struct PictureFolder {
  let folder: TemporaryFolder
  var path: String { folder.path }

  init() throws { folder = try TemporaryFolder() }

  /// Photographs of many colours, each of its own; PNG where the name says so, else JPEG.
  @discardableResult func photographs(_ names: String..., width: Int = 24, height: Int = 20) throws -> PictureFolder {
    for name in names {
      var level = name.utf8.reduce(UInt32(7)) { $0 &* 31 &+ UInt32($1) }
      let pixels = (0..<(width * height * 3)).map { _ -> UInt8 in
        level = level &* 1_664_525 &+ 1_013_904_223
        return UInt8(level >> 24)
      }
      let image = RGBImage(width: width, height: height, pixels: pixels)
      try write(name.lowercased().hasSuffix("png") ? try encodePNG(image) : try encodeJPEG(image), to: name)
    }
    return self
  }

  @discardableResult func masks(_ names: String..., width: Int = 24, height: Int = 20) throws -> PictureFolder {
    for name in names {
      let pixels = (0..<(width * height)).map { UInt8($0 % 3 == 0 ? 255 : 0) }
      try write(try encodePNG(GrayImage(width: width, height: height, pixels: pixels)), to: name)
    }
    return self
  }

  @discardableResult func text(_ text: String, to name: String) throws -> PictureFolder {
    try write(Array(text.utf8), to: name)
    return self
  }

  @discardableResult func write(_ bytes: [UInt8], to name: String) throws -> PictureFolder {
    let file = "\(path)/\(name)"
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return self
  }

  @discardableResult func emptyFolder(_ name: String) throws -> PictureFolder {
    try FileManager.default.createDirectory(atPath: "\(path)/\(name)", withIntermediateDirectories: true)
    return self
  }
}

func catalogue(_ pictures: PictureFolder, _ change: (inout CatalogueSource) -> Void = { _ in }) throws -> Catalogue {
  var source = CatalogueSource(root: pictures.path)
  change(&source)
  return try Catalogue(source)
}

func paths(_ catalogue: Catalogue) -> [String] { catalogue.images.map(\.path) }

func found(_ catalogue: Catalogue, _ kind: FindingKind) -> [String] { catalogue.findings[kind].map(\.name) }
