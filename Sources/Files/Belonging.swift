import Foundation

/// What a file or a folder is part of that this program has made, as the folder tells that it lies in: such a thing is
/// replaced by what has made it, and by nothing else.
public struct Belonging: Equatable, Sendable {
  /// "a run", "an imported data set".
  public let kind: String
  /// Where it lies, without links.
  public let folder: String

  /// What a folder is, whatever has made it; nil for what is not known.
  public static func kind(of folder: String) -> String? { makers.first { $0.hasMade(folder) }?.kind }

  /// What a file is part of; the innermost, where one thing lies in another. Nil for what is not known.
  ///
  /// - Parameter command: which may replace what it has made.
  init?(ofFile path: String, besides command: String?) {
    guard let place = Self.place(of: path) else { return nil }
    // An innermost folder has a name of one part.
    for split in place.indices.dropFirst().reversed() {
      let folder = "/" + place[..<split].joined(separator: "/")
      let name = place[split...].joined(separator: "/")
      if let maker = Self.makers.first(where: { $0.command != command && $0.hasMade(folder) && $0.owns(folder, name) })
      {
        (kind, self.folder) = (maker.kind, folder)
        return
      }
    }
    return nil
  }

  /// What a folder is, or lies in as a part, that takes no files of others.
  ///
  /// - Parameter command: which goes on in folders of its own.
  init?(ofFolder path: String, besides command: String) {
    guard let place = Self.place(of: path) else { return nil }
    let folder = "/" + place.joined(separator: "/")
    if let maker = Self.makers.first(where: { $0.isWhole && $0.command != command && $0.hasMade(folder) }) {
      (kind, self.folder) = (maker.kind, folder)
    } else if let outer = Belonging(ofFile: path, besides: command) {
      self = outer
    } else {
      return nil
    }
  }

  /// The parts of a path without links, but for the last one, which may be one or not be there.
  private static func place(of path: String) -> [String]? {
    let parent = parentFolder(of: path)
    let name = path.split(separator: "/").last.map(String.init) ?? "."
    let isName = ![".", ".."].contains(name)
    guard let resolved = realpath(isName ? (parent.isEmpty ? "." : parent) : path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved).split(separator: "/").map(String.init) + (isName ? [name] : [])
  }

  // MARK: What leaves which marks

  private struct Maker: Sendable {
    let command: String
    let kind: String
    /// Whether its folder is its own as a whole.
    let isWhole: Bool
    let hasMade: @Sendable (_ folder: String) -> Bool
    /// Whether a name in a folder that it has made is its own.
    let owns: @Sendable (_ folder: String, _ name: String) -> Bool
  }

  private static let makers: [Maker] =
    [
      Maker(command: "train", kind: "a run", isWhole: true, hasMade: isRun) { _, name in
        [
          "config.yaml", "split.json", "command.json", "metrics.jsonl", "log.txt", ".lock", ".lock.owner",
          "checkpoints", "tensorboard",
        ].contains(first(name))
      },
      Maker(command: "cache", kind: "a feature cache", isWhole: true, hasMade: isCache) { _, name in
        ["index.h5", ".lock", ".lock.owner"].contains(name) || name.hasPrefix("shard-")
      },
      listed("table", "a table", isWhole: true, besides: ["runs", "log.txt", ".lock", ".lock.owner"]),
      listed("import", "an imported data set", isWhole: true, besides: ["images", "segmentations"]),
      listed("synth", "a synthetic data set", isWhole: true),
    ]
    + ["evaluate": "an evaluation", "explain": "explanations", "manual": "manual pages"].map { command, kind in
      listed(command, kind, besides: command == "evaluate" ? [".unfinished", ".lock", ".lock.owner"] : [])
    }

  /// Of a command that keeps a list of its files.
  ///
  /// - Parameter besides: what it makes beside them.
  private static func listed(
    _ command: String, _ kind: String, isWhole: Bool = false, besides: [String] = []
  ) -> Maker {
    Maker(command: command, kind: kind, isWhole: isWhole, hasMade: { OutputFolder.isMade($0, by: command) }) {
      folder, name in
      besides.contains(first(name)) || name == OutputFolder.listName(of: command)
        || OutputFolder.digests(in: folder, of: command)[name] != nil
    }
  }

  @Sendable static func isRun(_ folder: String) -> Bool {
    has(folder, "checkpoints/last.h5")
      || has(folder, "config.yaml") && ["split.json", "metrics.jsonl", ".lock"].contains { has(folder, $0) }
  }

  @Sendable private static func isCache(_ folder: String) -> Bool {
    guard has(folder, "index.h5") || has(folder, ".lock") else { return false }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.contains { $0.hasPrefix("shard-") && $0.hasSuffix(".h5") }
  }

  private static func has(_ folder: String, _ name: String) -> Bool {
    var status = stat()
    return lstat("\(folder)/\(name)", &status) == 0
  }

  private static func first(_ name: String) -> String { String(name.prefix { $0 != "/" }) }
}
