import Digests
import Failures
import Files
import Foundation
import ImageFolders

/// The folder that an import writes: it appears in one step, and replaces nothing but an earlier import that nobody has
/// changed. A list in it, `.ala-made-import`, has the SHA-256 of its text files; an image or a mask is the import's as
/// long as it is still the file that it was made from, or its bytes.
struct ImportedFolder {
  let path: String
  private static let listName = ".ala-made-import"

  /// - Parameter path: may end in slashes and dots, or be a symbolic link to a folder, which is then the one that is
  ///   written.
  /// - Throws: `Failure` 73 where it cannot be written: it is no folder, a link to nothing, or the working directory.
  init(_ given: String) throws {
    var path = given
    while path.count > 1, path.hasSuffix("/") || path.hasSuffix("/.") { path.removeLast() }
    var status = stat()
    guard lstat(path, &status) == 0 else {
      self.path = path
      return
    }
    let isLink = status.st_mode & S_IFMT == S_IFLNK
    guard stat(path, &status) == 0, let real = realPath(path) else {
      throw Failure.cannotWrite("\(given): is a symbolic link to nothing; give another --out, or make what it leads to")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      throw Failure.cannotWrite(
        "\(given): is there already and is \(isLink ? "a symbolic link to a file" : "no folder"); give another --out")
    }
    guard real != FileManager.default.currentDirectoryPath, real != "/" else {
      throw Failure.cannotWrite(
        "\(given): is the folder that this command runs in, and cannot be replaced by a new one; give another --out")
    }
    self.path = real
  }

  // MARK: What is there

  /// - Throws: `Failure` 73 naming what is in the way, and saying what to do.
  func refuseStrangers(_ plan: ImportPlan, isOverwriting: Bool) throws {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    let present = Self.files(below: path)
    guard !present.isEmpty else { return }
    let digests = Self.list(in: path)
    let made = Self.madeNames(in: path)
    for name in present where name != Self.listName && digests[name] == nil && !made.contains(Array(name.utf8)) {
      throw Failure.cannotWrite(
        "\(path): holds \(name), which was not made by ala import; give an empty folder or a new one with --out")
    }
    guard !isOverwriting else { return }
    let sources = Dictionary(plan.files.map { (Array($0.name.utf8), $0.source) }, uniquingKeysWith: { $1 })
    for name in present where name != Self.listName {
      let file = "\(path)/\(name)"
      let isOwn =
        digests[name].map { (try? SHA256.ofFile(file)) == $0 }
        ?? Self.isUnchanged(file, source: sources[Array(name.utf8)])
      guard isOwn else {
        throw Failure.cannotWrite(
          "\(file): has been changed since it was imported, or what it was made from is gone; give another --out, or "
            + "--overwrite to replace it")
      }
    }
  }

  /// Whether removing a file loses nothing.
  private static func isUnchanged(_ file: String, source: String?) -> Bool {
    var (own, other) = (stat(), stat())
    guard lstat(file, &own) == 0 else { return true }
    if own.st_mode & S_IFMT == S_IFLNK { return true }
    guard let source, stat(source, &other) == 0 else { return own.st_nlink > 1 }
    if own.st_dev == other.st_dev, own.st_ino == other.st_ino { return true }
    guard own.st_size == other.st_size, let digest = try? SHA256.ofFile(file) else { return false }
    return (try? SHA256.ofFile(source)) == digest
  }

  /// Every file below a folder, relative to it.
  private static func files(below folder: String) -> [String] {
    let names = FileManager.default.enumerator(atPath: folder)?.compactMap { $0 as? String } ?? []
    return names.sorted().filter { name in
      var status = stat()
      return lstat("\(folder)/\(name)", &status) == 0 && status.st_mode & S_IFMT != S_IFDIR
    }
  }

  /// Of a line for each of the few text files.
  private static let mostListBytes = 1 << 20

  /// Text files of an earlier import with their digests.
  private static func list(in folder: String) -> [String: String] {
    let text = (try? readText("\(folder)/\(listName)", most: mostListBytes)) ?? ""
    let lines = text.split(separator: "\n").filter { $0.count > 66 }
    return Dictionary(lines.map { (String($0.dropFirst(66)), String($0.prefix(64))) }, uniquingKeysWith: { $1 })
  }

  /// Images and masks of an earlier import, by its own list.
  private static func madeNames(in folder: String) -> Set<[UInt8]> {
    guard FileManager.default.fileExists(atPath: "\(folder)/\(listName)"),
      let table = try? TextTable(path: "\(folder)/images.txt")
    else { return [] }
    return Set(
      table.lines.flatMap { line in
        ["images/\(line.rest)", "\(MaskFolder.name)/\(MaskFolder.relativePath(ofMaskOf: line.rest))"].map {
          Array($0.utf8)
        }
      })
  }

  // MARK: Writing

  /// Writes the text files and the list of them.
  func writeLists(_ files: [(name: String, text: String)], in folder: String) throws {
    for file in files { try writeAtomically(file.text, to: "\(folder)/\(file.name)") }
    let lines = try files.map { "\(try SHA256.ofFile("\(folder)/\($0.name)"))  \($0.name)\n" }
    try writeAtomically(lines.sorted().joined(), to: "\(folder)/\(Self.listName)")
  }
}
