import Failures
import Foundation
import Images

/// What a data set has for an image's mask.
public enum MaskFile: Equatable, Sendable {
  /// There is no such file.
  case absent
  case file(String)
  /// Left out because it cannot be read (`data.skip_unreadable`), with the reason.
  case unreadable(Failure)
  /// Left out because it has another size than its image (`data.skip_unreadable`), with both.
  case wrongSize(String)

  /// Why it is left out; nil where it is not.
  var problem: String? {
    switch self {
    case .absent, .file: nil
    case .unreadable(let failure): failure.message
    case .wrongSize(let reason): reason
    }
  }

  /// Of the failure that its problem is.
  var code: ExitCode { if case .unreadable(let failure) = self { failure.code } else { .badData } }
}

/// The folder of masks: for `images/a/b.jpg` the file `a/b.png`. Or masks that were found, wherever they lie.
struct MaskFolder {
  /// The folder; in words where masks were found.
  private let path: String
  /// By image id; nil where masks have their images' names.
  private let found: [Int: String]?

  /// nil where masks are left out altogether.
  ///
  /// - Parameter root: the data set's folder.
  /// - Throws: `Failure` 66 where the named folder is not there, or one that is there cannot be looked into.
  init?(_ masks: Masks, root: String) throws {
    switch masks {
    case .none: return nil
    case .beside: path = "\(root)/\(Self.name)"
    case .folder(let folder):
      guard FileManager.default.fileExists(atPath: folder) || Self.obstacle(folder) != nil else {
        throw Failure.missingInput("\(folder): there is no such folder (data.segmentations)")
      }
      path = folder
    }
    found = nil
    if let reason = Self.obstacle("\(path)/.") {
      throw Failure.missingInput("\(path): cannot be opened: \(reason) (data.segmentations)")
    }
  }

  /// Why it is not known what lies at a path, such as a folder that may not be entered; nil where it is, and where nothing
  /// lies there.
  private static func obstacle(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) != 0, errno != ENOENT, errno != ENOTDIR else { return nil }
    return systemReason()
  }

  /// - Parameters:
  ///   - found: by image id.
  ///   - place: where they were looked for, in words.
  init(found: [Int: String], place: String) {
    path = place
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
    guard found == nil else { return path }
    return "in \(path) for files such as \(path)/\(Self.relativePath(ofMaskOf: example.path))"
  }

  /// A mask's file, also where it is not known whether there is one: whoever opens it is told why.
  func file(of image: ImageEntry) -> String? {
    if let found { return found[image.id] }
    let path = "\(path)/\(Self.relativePath(ofMaskOf: image.path))"
    return FileManager.default.fileExists(atPath: path) || Self.obstacle(path) != nil ? path : nil
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
      return .unreadable(error as? Failure ?? .badData("\(file): \(error)"))
    }
  }
}
