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

/// The folder of masks: for `images/a/b.jpg` the file `a/b.png`.
struct MaskFolder {
  let path: String

  /// nil where masks are left out altogether.
  ///
  /// - Parameter root: the data set's folder.
  /// - Throws: `Failure` 66 where the named folder is not there.
  init?(_ masks: Masks, root: String) throws {
    switch masks {
    case .none: return nil
    case .beside: path = "\(root)/segmentations"
    case .folder(let folder):
      guard FileManager.default.fileExists(atPath: folder) else {
        throw Failure.missingInput("\(folder): there is no such folder (data.segmentations)")
      }
      path = folder
    }
  }

  func candidate(_ image: String) -> String { "\(path)/\((image as NSString).deletingPathExtension).png" }

  /// - Parameter image: relative to `images/`.
  func file(of image: String) -> String? {
    let path = candidate(image)
    return FileManager.default.fileExists(atPath: path) ? path : nil
  }

  /// Takes a cheap look at an image's mask.
  ///
  /// - Parameters:
  ///   - size: the image's.
  ///   - decodes: looks at all of it.
  /// - Returns: never `.wrongSize` or `.unreadable` for a mask that can be used.
  func look(_ image: String, size: ImageLook, decodes: Bool) -> MaskFile {
    guard let file = file(of: image) else { return .absent }
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
