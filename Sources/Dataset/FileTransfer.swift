import Failures
import Files
import Foundation

/// Brings files into a data set's folder without taking them away.
public struct FileTransfer: Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    /// One file under two names; a copy where the file system allows no link, as over its border.
    case hardLink = "hard-link"
    case copy
    /// By absolute paths; runs then need `data.follow_links`.
    case symbolicLink = "symbolic-link"
  }

  private let kind: Kind
  /// How many files came in which way.
  private(set) var counts: [Kind: Int] = [:]
  /// Why a copy was made where a link was asked for, the first time.
  private(set) var reason: String?

  private static let blockBytes = 1 << 20
  /// What says that there can be no link here, as opposed to an error.
  private static let refusals = [EXDEV, EPERM, EACCES, EMLINK, ENOTSUP, EOPNOTSUPP, ENOSYS]

  init(_ kind: Kind) { self.kind = kind }

  /// - Parameters:
  ///   - source: a file, or a link to one, which is followed.
  ///   - place: where nothing is yet; its folders are made.
  /// - Throws: `Failure` 66 or 73.
  mutating func bring(_ source: String, to place: String) throws {
    try makeFolder(parentFolder(of: place))
    switch kind {
    case .symbolicLink:
      guard let target = Self.absolute(source), symlink(target, place) == 0 else { throw cannotWrite(place) }
      counts[.symbolicLink, default: 0] += 1
      return
    case .hardLink:
      if linkat(AT_FDCWD, source, AT_FDCWD, place, AT_SYMLINK_FOLLOW) == 0 {
        counts[.hardLink, default: 0] += 1
        return
      }
      let code = errno
      guard Self.refusals.contains(code) else { throw cannotWrite(place) }
      reason = reason ?? systemReason(code)
    case .copy: break
    }
    try Self.copy(source, to: place)
    counts[.copy, default: 0] += 1
  }

  private static func absolute(_ path: String) -> String? {
    let folder = parentFolder(of: path)
    guard let resolved = realpath(folder.isEmpty ? "." : folder, nil) else { return nil }
    defer { free(resolved) }
    guard let place = String(validatingCString: resolved) else {
      // Behind links that have names in UTF-8 there is one that has none.
      return path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
    }
    return "\(place)/\((path as NSString).lastPathComponent)"
  }

  private static func copy(_ source: String, to place: String) throws {
    let (input, _) = try openRegularFile(source)
    defer { close(input) }
    let output = try openForWriting(place, O_WRONLY | O_CREAT | O_EXCL)
    defer { close(output) }
    var block = [UInt8](repeating: 0, count: blockBytes)
    while true {
      let count = block.withUnsafeMutableBytes { read(input, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw cannotRead(source) }
      guard count > 0 else { break }
      try block.withUnsafeBytes {
        try writeFully(UnsafeRawBufferPointer(rebasing: $0[..<count]), to: output, path: place)
      }
    }
    guard fsync(output) == 0 else { throw cannotWrite(place) }
  }
}
