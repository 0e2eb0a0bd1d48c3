import Failures
import Foundation
import ImageFolders
import Images

/// The folder `images/` of a data set, whose files may be links but, unless that is allowed, lie in it.
struct ImageFolder {
  let path: String
  /// Behind every link.
  private let real: String
  private let followsLinks: Bool

  init(_ path: String, followsLinks: Bool) {
    self.path = path
    self.followsLinks = followsLinks
    real = realPath(path) ?? path
  }

  /// Takes a cheap look at an image's file.
  ///
  /// - Parameter relative: below this folder.
  /// - Returns: its state, and what its header tells.
  /// - Throws: `Failure` 66 where it is not there, 65 where it is unreadable; see `checkLinks`.
  func look(_ relative: String) throws -> (state: FileState?, look: ImageLook) {
    let file = "\(path)/\(relative)"
    let state = FileState(file)
    return (state, try ImageLook(path: file))
  }

  /// Refuses a file that lies elsewhere, by a link of its own or of a folder above it.
  ///
  /// - Throws: `Failure` 65 for a link out of the folder, 66 for one to nothing.
  func checkLinks(_ relative: String) throws {
    guard let target = realPath("\(path)/\(relative)") else {
      if let link = firstLink(relative, where: { realPath($0) == nil }) {
        throw Failure.missingInput(
          "\(link.path): is a symbolic link to \(link.target), which is not there; fetch what it stands for "
            + "(git annex get, dvc pull) or mend the link")
      }
      return
    }
    guard !followsLinks, target != real, !target.hasPrefix(real + "/") else { return }
    let link = firstLink(relative) { link in
      realPath(link).map { $0 != real && !$0.hasPrefix(real + "/") } ?? false
    }
    throw Failure.badData(
      "\(link?.path ?? "\(path)/\(relative)"): is a symbolic link out of \(path), to \(link?.target ?? target); "
        + "set data.follow_links: true to use images that lie elsewhere")
  }

  /// The first part of a path, from the folder on, that is a link of some kind.
  private func firstLink(_ relative: String, where isWanted: (String) -> Bool) -> (path: String, target: String)? {
    var place = path
    for part in relative.split(separator: "/") {
      place += "/\(part)"
      guard let target = try? FileManager.default.destinationOfSymbolicLink(atPath: place) else { continue }
      if isWanted(place) { return (place, target) }
    }
    return nil
  }
}
