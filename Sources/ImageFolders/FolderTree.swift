import Failures
import Files
import Foundation
import Images

/// Every picture below a folder, by its path from there. Names are taken as bytes: two that Unicode calls equal are two.
struct FolderTree {
  private(set) var root: String
  /// Between the folder that was gone through and `root`, with a slash behind it; empty where they are the same.
  private(set) var above = ""
  /// Relative paths of JPEG and PNG files, in the order of their UTF-8 bytes.
  private(set) var pictures: [String] = []
  /// Relative paths of folders that are gone through.
  private(set) var folders: [String] = []
  /// Relative paths of files that are neither pictures nor left for another reason.
  private(set) var others: [String] = []
  private(set) var findings = Findings()
  private let followsLinks: Bool
  private let realRoot: String
  private let leftFolder: String?

  /// Endings of files that are meant to be pictures, whatever they are.
  private static let pictureEndings: Set = ["jpg", "jpeg", "jpe", "jfif", "png"]
  /// Of pictures of other kinds.
  private static let foreignEndings: Set = [
    "webp", "gif", "bmp", "dib", "tif", "tiff", "heic", "heif", "avif", "jxl", "jp2", "ppm", "pgm", "pbm", "tga",
  ]
  /// What operating systems and programs leave in people's folders.
  private static let systemNames: Set = [
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin",
    "system volume information", "lost+found", "__pycache__",
  ]

  /// Goes through a folder.
  ///
  /// - Parameters:
  ///   - followsLinks: takes what lies outside it, by symbolic links.
  ///   - leftFolder: one that is not gone through, wherever it lies.
  /// - Throws: `Failure` 66 where it is no folder, or cannot be read.
  init(_ root: String, followsLinks: Bool, leaving leftFolder: String? = nil) throws {
    self.leftFolder = leftFolder.flatMap(realPath)
    self.root = root
    self.followsLinks = followsLinks
    guard let real = realPath(root), let identity = FolderIdentity(real) else {
      throw Failure.missingInput("\(root): there is no such folder")
    }
    realRoot = real
    try walk("", try names(in: ""), ancestors: [identity])
    pictures.sort(by: precedes)
    folders.sort(by: precedes)
    others.sort(by: precedes)
  }

  /// Why paths were not taken; a folder's reason is that of all that lies in it.
  var reasons: [String: FindingKind] {
    var reasons: [String: FindingKind] = [:]
    for kind in FindingKind.allCases {
      for finding in findings[kind] { reasons[finding.name] = kind }
    }
    return reasons
  }

  /// What lies in a folder of the tree, by its paths from there.
  func below(_ folder: String) -> FolderTree {
    guard !folder.isEmpty else { return self }
    var tree = self
    (tree.root, tree.above) = ("\(root)/\(folder)", "\(above)\(folder)/")
    func own(_ path: String) -> String? {
      path.utf8.starts(with: "\(folder)/".utf8) ? String(path.utf8.dropFirst(folder.utf8.count + 1)) : nil
    }
    tree.pictures = pictures.compactMap(own)
    tree.folders = folders.compactMap(own)
    tree.others = others.compactMap(own)
    tree.findings = findings.renamed(own)
    return tree
  }

  private mutating func walk(_ folder: String, _ names: [String], ancestors: [FolderIdentity]) throws {
    for name in names {
      let path = folder.isEmpty ? name : "\(folder)/\(name)"
      if name.hasPrefix(".") {
        findings.note(.hidden, path)
      } else if Self.systemNames.contains(name.lowercased()) {
        findings.note(.system, path)
      } else {
        try look(at: path, ancestors: ancestors)
      }
    }
  }

  private mutating func look(at path: String, ancestors: [FolderIdentity]) throws {
    let place = "\(root)/\(path)"
    var status = stat()
    guard stat(place, &status) == 0 else {
      findings.note(.brokenLink, path)
      return
    }
    guard !isLinkOutside(place) else {
      findings.note(.outsideLink, path)
      return
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      guard let identity = FolderIdentity(place) else { return }
      // A link to a folder above would be gone through for ever.
      if ancestors.contains(identity) { return findings.note(.loop, path) }
      if isMadeByAla(place) { return findings.note(.madeByAla, path) }
      if let leftFolder, realPath(place) == leftFolder { return }
      // None of the files in it has a name that a line can hold.
      if path.contains(where: \.isNewline) { return findings.note(.badName, path, "a folder") }
      let names: [String]
      do {
        names = try self.names(in: path)
      } catch let failure as Failure {
        return findings.note(.unreadableFolder, path, failure.words(behind: place))
      }
      folders.append(path)
      try walk(path, names, ancestors: ancestors + [identity])
    case S_IFREG: takeFile(path)
    default: findings.note(.noPicture, path)
    }
  }

  static func isNamedAsPicture(_ path: String) -> Bool { pictureEndings.contains(ending(of: path).lowercased()) }

  private mutating func takeFile(_ path: String) {
    guard isWritable(inALine: path) else { return findings.note(.badName, path) }
    if Self.isNamedAsPicture(path) || isPicture("\(root)/\(path)") {
      pictures.append(path)
    } else if Self.foreignEndings.contains(ending(of: path).lowercased()) {
      findings.note(.otherFormat, path)
    } else {
      others.append(path)
    }
  }

  private func isLinkOutside(_ place: String) -> Bool {
    var status = stat()
    guard !followsLinks, lstat(place, &status) == 0, status.st_mode & S_IFMT == S_IFLNK, let target = realPath(place)
    else { return false }
    return target != realRoot && !target.hasPrefix(realRoot + "/")
  }

  /// Folders in which a command has written hold a list of what it has made.
  private func isMadeByAla(_ folder: String) -> Bool {
    (try? readFolder(folder))?.names.contains { $0.hasPrefix(".ala-made-") } == true
  }

  private mutating func names(in folder: String) throws -> [String] {
    let found = try readFolder(folder.isEmpty ? root : "\(root)/\(folder)")
    for name in found.notUTF8 {
      findings.note(.badName, folder.isEmpty ? name : "\(folder)/\(name)", "no UTF-8")
    }
    return found.names.sorted(by: precedes)
  }
}

/// Which folder it is, whatever names lead there.
private struct FolderIdentity: Equatable {
  let device: UInt
  let number: UInt

  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return nil }
    (device, number) = (UInt(status.st_dev), UInt(status.st_ino))
  }
}
