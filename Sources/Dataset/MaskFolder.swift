import Failures
import Foundation
import Images

/// What a data set has for an image's mask.
public enum MaskFile: Equatable, Sendable {
  /// There is no such file.
  case absent
  case file(String)
  /// Left out because it cannot be read (`data.skip_unreadable`), with the reason.
  case unreadable(String)
  /// Left out because it has another size than its image (`data.skip_unreadable`), with both.
  case wrongSize(String)

  /// Why it is left out; nil where it is not.
  var problem: String? {
    switch self {
    case .absent, .file: nil
    case .unreadable(let reason), .wrongSize(let reason): reason
    }
  }
}

/// The folder of masks: for `images/a/b.jpg` the file `a/b.png`. Or masks that were found, wherever they lie.
struct MaskFolder {
  private let path: String
  /// By image id; nil where masks have their images' names.
  private let found: [Int: String]?

  /// nil where masks are left out altogether.
  ///
  /// - Parameter root: the data set's folder.
  /// - Throws: `Failure` 66 where the named folder is not there.
  init?(_ masks: Masks, root: String) throws {
    switch masks {
    case .none: return nil
    case .beside: path = "\(root)/\(Self.name)"
    case .folder(let folder):
      guard FileManager.default.fileExists(atPath: folder) else {
        throw Failure.missingInput("\(folder): there is no such folder (data.segmentations)")
      }
      path = folder
    }
    found = nil
  }

  /// - Parameters:
  ///   - found: by image id.
  ///   - root: where they were looked for.
  init(found: [Int: String], root: String) {
    path = root
    self.found = found
  }

  /// Of the folder beside the images.
  static let name = "segmentations"

  /// A mask's place in the folder.
  ///
  /// - Parameter image: relative to the folder of images.
  static func relativePath(ofMaskOf image: String) -> String { "\((image as NSString).deletingPathExtension).png" }

  /// Where masks were looked for, in words.
  func whereLooked(_ example: ImageEntry) -> String {
    guard found == nil else { return "beside the images and for folders such as masks/, in \(path)" }
    return "in \(path) for files such as \(path)/\(Self.relativePath(ofMaskOf: example.path))"
  }

  func file(of image: ImageEntry) -> String? {
    if let found { return found[image.id] }
    let path = "\(path)/\(Self.relativePath(ofMaskOf: image.path))"
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }

  /// Takes a cheap look at an image's mask.
  ///
  /// - Parameters:
  ///   - size: the image's.
  ///   - decodes: looks at all of it.
  /// - Returns: never `.wrongSize` or `.unreadable` for a mask that can be used.
  func look(_ image: ImageEntry, size: ImageLook, decodes: Bool) -> MaskFile {
    file(of: image).map { Self.look(file: $0, size: size, decodes: decodes) } ?? .absent
  }

  /// The same of a mask whose file is known.
  static func look(file: String, size: ImageLook, decodes: Bool) -> MaskFile {
    do {
      let look = try ImageLook(path: file)
      guard look.width == size.width, look.height == size.height else {
        return .wrongSize(
          "\(file): is \(look.width) x \(look.height); its image is \(size.width) x \(size.height)")
      }
      if decodes { _ = try decodeMask(path: file, threshold: 0) }
      return .file(file)
    } catch {
      return .unreadable("\(error)")
    }
  }
}
