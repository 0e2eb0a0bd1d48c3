import Foundation

/// A code block of a document, indented or fenced, with the comment that stands before it.
///
/// A block of commands is run as it stands, in its place in the document, unless `<!-- not run: REASON -->` stands
/// before it. `<!-- file: NAME -->` gives a block of another kind to those after it as a file.
struct Block {
  /// The first line's number in the document.
  let line: Int
  /// What the fence says; empty where there is none.
  let language: String
  /// The text of the comment.
  let note: String?
  var lines: [String] = []

  init(line: Int, language: String, note: String?) {
    (self.line, self.language, self.note) = (line, language, note)
  }

  /// Its text, without what all of its lines are indented by.
  var text: String {
    let written = lines.filter { !$0.allSatisfy(\.isWhitespace) }
    let indent = written.map { $0.prefix { $0 == " " }.count }.min() ?? 0
    return lines.map { $0.dropFirst(indent) }.joined(separator: "\n")
  }

  /// Its lines that are not blank; one that ends in a backslash goes on in the next.
  var commands: [String] {
    lines.filter { !$0.allSatisfy(\.isWhitespace) }.reduce(into: []) { joined, line in
      if let last = joined.last, last.hasSuffix("\\") {
        joined[joined.count - 1] = String(last.dropLast() + line.drop(while: \.isWhitespace))
      } else {
        joined.append(line)
      }
    }
  }

  /// Why its commands are not run.
  var reason: String? { value(of: "not run") }
  /// The file that it is the contents of.
  var file: String? { value(of: "file") }

  private func value(of key: String) -> String? {
    note.flatMap { $0.hasPrefix("\(key): ") ? String($0.dropFirst(key.count + 2)) : nil }
  }

  var isPython: Bool { language == "python" }

  /// Whether somebody is to type it.
  var isShell: Bool {
    if !language.isEmpty { return language == "sh" }
    return commands.contains { line in
      let words = line.split(separator: " ").drop { $0.contains("=") && !$0.hasPrefix("-") }
      return words.first.map { Self.programs.contains(String($0)) || Self.isOurs($0) } ?? false
        || line.contains(/^ *for \w+ in\s/)
    }
  }

  private static let programs: Set = [
    "ala", "apptainer", "cd", "curl", "docker", "export", "git", "mpirun", "python3", "sbatch", "swift", "tar",
    "unzip",
  ]
  private static func isOurs(_ word: Substring) -> Bool {
    word.contains(/^(?:bin|launch|scripts|Tests\/\w+|\.venv\/bin)\/\S/)
  }
}
