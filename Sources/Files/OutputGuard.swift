import Digests
import Failures
import Foundation

/// What keeps a command from replacing a file that it didn't make, or that it reads.

/// Refuses to write a file over one that the same call reads, whatever names lead there.
///
/// - Parameter inputs: files that the call reads; those that are not there don't matter.
/// - Throws: `Failure` 73 naming both.
public func refuseInputs(_ inputs: [String], asOutput path: String) throws {
  guard let own = FileIdentity(path) else { return }
  for input in inputs where FileIdentity(input) == own {
    throw Failure.cannotWrite("\(path): would replace a file that this command reads (\(input)); give another --out")
  }
}

/// Refuses to write one file over what the same command hasn't made.
///
/// - Parameters:
///   - inputs: files that the call reads, which are never replaced.
///   - isOverwriting: `--overwrite`, which replaces a user's files, but no part of what other commands have made, and
///     nothing that is no regular file.
///   - command: the command, where it keeps a list of its files.
///   - isOwn: whether the file that is there was made by the same command.
/// - Throws: `Failure` 73 saying what to do.
public func guardOutput(
  _ path: String, inputs: [String], isOverwriting: Bool, of command: String? = nil, isOwn: (String) -> Bool
) throws {
  try refuseInputs(inputs, asOutput: path)
  var status = stat()
  guard lstat(path, &status) == 0 else { return }
  if let fault = irregularity(of: path) { throw Failure.cannotWrite("\(path): \(fault); give another --out") }
  guard !isOwn(path) else { return }
  if let belonging = Belonging(ofFile: path, besides: command) {
    throw Failure.cannotWrite(
      "\(path): is part of \(belonging.kind) (\(belonging.folder)), which no other command replaces, with --overwrite "
        + "neither; give another --out")
  }
  guard isOverwriting else {
    throw Failure.cannotWrite(
      "\(path): is there already and was not made by this command; give another --out, or --overwrite to replace it")
  }
}

/// Refuses to write several files among those of a run, though a folder in it may take them.
///
/// - Parameter name: of such a folder.
/// - Throws: `Failure` 73.
public func refuseRunFolder(_ path: String, instead name: String) throws {
  guard Belonging.isRun(path) else { return }
  throw Failure.cannotWrite(
    "\(path): is a run, among whose files no other command writes; give a folder in it, such as --out "
      + shellWord(path.hasSuffix("/") ? path + name : "\(path)/\(name)"))
}

/// A folder that a command writes several files into, with a list of them, `.ala-made-COMMAND`, by which it knows them
/// again: a line for each, its SHA-256 and its name, as `sha256sum -c` reads them. What another command has made there is
/// a stranger's. A file that was being written when a process died has a row of dots instead, and is the command's own
/// whatever it holds.
public struct OutputFolder {
  public let path: String
  private let command: String
  private let isOverwriting: Bool
  /// By name, relative to the folder.
  private var digests: [String: String]
  private var claimed: Set<String> = []

  private static let unfinished = String(repeating: ".", count: 64)
  private static let mostListBytes = 1 << 30

  /// - Parameters:
  ///   - command: the command's name.
  ///   - isOverwriting: `--overwrite`.
  public init(_ path: String, of command: String, isOverwriting: Bool) {
    self.path = path
    self.command = command
    self.isOverwriting = isOverwriting
    digests = Self.digests(in: path, of: command)
  }

  static func listName(of command: String) -> String { ".ala-made-\(command)" }

  private var listName: String { Self.listName(of: command) }

  /// Whether a command has written into a folder, or begun to.
  public static func isMade(_ path: String, by command: String) -> Bool {
    FileManager.default.fileExists(atPath: "\(path)/\(listName(of: command))")
  }

  /// What the list of a command says, by name.
  static func digests(in path: String, of command: String) -> [String: String] {
    var digests: [String: String] = [:]
    let text = (try? readText("\(path)/\(listName(of: command))", most: mostListBytes)) ?? ""
    for line in text.split(separator: "\n") {
      let entry = line.hasPrefix("\\") ? line.dropFirst() : line
      guard entry.count > 66 else { continue }
      let name = String(entry.dropFirst(66))
      digests[line.hasPrefix("\\") ? unescaped(name) : name] = String(entry.prefix(64))
    }
    return digests
  }

  /// Makes the folder, and makes sure that files may be written there, before the first of them is.
  ///
  /// - Parameters:
  ///   - names: relative to the folder.
  ///   - inputs: files that the call reads, which are never replaced.
  ///   - sharesFolder: whether files of others may lie beside them; else the folder must hold nothing else.
  ///   - isAlone: whether it is refused as part of what other commands have made, of which a folder is one as a whole.
  /// - Throws: `Failure` 73 naming a file and saying what to do.
  public mutating func claim(
    _ names: [String], inputs: [String] = [], sharesFolder: Bool = true, isAlone: Bool = false
  ) throws {
    try check(names, inputs: inputs, isAlone: isAlone || !sharesFolder)
    if !sharesFolder, !isOverwriting, let stranger = stranger() {
      throw Failure.cannotWrite(
        "\(path): holds \(stranger), which was not made by this command; give an empty folder or a new one with --out, "
          + "or --overwrite to write among what is there")
    }
    try makeFolder(path)
    claimed.formUnion(names)
    for name in names { digests[name] = Self.unfinished }
    try writeList()
  }

  /// Makes sure that nothing but a file of others' that is there keeps files from being written, and writes nothing.
  ///
  /// - Parameters: as of `claim`.
  /// - Throws: `Failure` 73 naming a file and saying what to do.
  public func check(_ names: [String], inputs: [String] = [], isAlone: Bool = false) throws {
    if isAlone, let belonging = Belonging(ofFolder: path, besides: command) {
      throw Failure.cannotWrite(
        "\(path): is \(belonging.kind), or part of one (\(belonging.folder)), which no other command writes into, with "
          + "--overwrite neither; give another folder with --out")
    }
    for name in names {
      try guardOutput("\(path)/\(name)", inputs: inputs, isOverwriting: isOverwriting, of: command) {
        isOwn(name, at: $0)
      }
    }
  }

  /// Removes what a killed call has left half-written of the files that are claimed; for who has the folder alone.
  public func sweep() {
    let folders = Set(claimed.map { ("\(path)/\($0)" as NSString).deletingLastPathComponent })
    for folder in folders { removeTemporaries(in: folder) }
  }

  /// Notes what the files have become.
  ///
  /// - Parameter removesOthers: removes files of earlier calls that this one hasn't claimed, unless they have been changed.
  public mutating func finish(removesOthers: Bool = false) throws {
    for name in claimed { digests[name] = try? SHA256.ofFile("\(path)/\(name)") }
    if removesOthers {
      for name in digests.keys where !claimed.contains(name) {
        if isOwn(name, at: "\(path)/\(name)") { remove(name) }
        digests[name] = nil
      }
    }
    try writeList()
  }

  /// Removes a file, and the folders that it leaves empty.
  private func remove(_ name: String) {
    unlink("\(path)/\(name)")
    var folder = parentFolder(of: name)
    while !folder.isEmpty, rmdir("\(path)/\(folder)") == 0 {
      folder = parentFolder(of: folder)
    }
  }

  private func isOwn(_ name: String, at file: String) -> Bool {
    guard let digest = digests[name] else { return false }
    return digest == Self.unfinished || (try? SHA256.ofFile(file)) == digest
  }

  /// The first file in the folder that is none of the command's own.
  private func stranger() -> String? {
    let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    return names.sorted().first { name in
      var status = stat()
      guard lstat("\(path)/\(name)", &status) == 0, status.st_mode & S_IFMT != S_IFDIR else { return false }
      // A file that was being written when its process died has its name with a mark behind.
      let whole = name.range(of: temporaryMark).map { String(name[..<$0.lowerBound]) } ?? name
      return whole != listName && digests[whole] == nil
    }
  }

  private func writeList() throws {
    let lines = digests.sorted { $0.key < $1.key }.map { name, digest in
      let escaped = Self.escaped(name)
      return "\(escaped == name ? "" : "\\")\(digest)  \(escaped)\n"
    }
    try writeAtomically(lines.joined(), to: "\(path)/\(listName)")
  }

  /// A name on one line, as `sha256sum` writes it.
  private static func escaped(_ name: String) -> String {
    name.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing("\r", with: "\\r")
  }

  private static func unescaped(_ text: String) -> String {
    var name = ""
    var isEscaped = false
    for character in text {
      if isEscaped {
        name.append(character == "n" ? "\n" : character == "r" ? "\r" : character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else {
        name.append(character)
      }
    }
    return name
  }
}

/// Refuses a folder that a command wants to work in, but that holds files of somebody else under the names that it uses.
///
/// - Parameters:
///   - mark: a file that every earlier use of the folder has left.
///   - isOwn: asked of each of the names that is there, where the mark is not.
/// - Throws: `Failure` 73 naming the file.
public func refuseStrangers(
  in folder: String, mark: String, names: [String], setting: String, isOwn: (String) -> Bool
) throws {
  var status = stat()
  guard lstat("\(folder)/\(mark)", &status) != 0 else { return }
  for name in names where lstat("\(folder)/\(name)", &status) == 0 && !isOwn("\(folder)/\(name)") {
    throw Failure.cannotWrite(
      "\(folder): holds \(name), which ala has not made here; give another folder (\(setting)), or move it away")
  }
}
