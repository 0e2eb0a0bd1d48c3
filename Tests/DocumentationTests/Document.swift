import Foundation
import TestSupport
import Testing

/// A document of the repository: Markdown as these tests need it read.
struct Document: Sendable, CustomTestStringConvertible {
  /// Relative to the repository's root.
  let path: String
  /// Its lines outside code blocks.
  let prose: [String]
  let blocks: [Block]

  /// README, CONTRIBUTING, CHANGELOG and the pages of `docs/`.
  static let all: [Document] = {
    let top = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    return (top + filesBelow("docs").filter { $0.hasSuffix(".md") }).map { Document(path: $0) }
  }()

  init(path: String) {
    self.init(path: path, text: (try? String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)) ?? "")
  }

  init(path: String, text: String) {
    self.path = path
    var (prose, blocks): ([String], [Block]) = ([], [])
    var open: Block?
    var (isFenced, isAfterBlank) = (false, true)
    var note: String?
    func close() {
      guard let block = open else { return }
      blocks.append(block)
      prose.append("")
      (open, note) = (nil, nil)
    }
    for (index, line) in text.components(separatedBy: "\n").enumerated() {
      func begin(language: String = "") { open = Block(line: index + 1, language: language, note: note) }
      if line.hasPrefix("```") {
        close()
        isFenced.toggle()
        if isFenced { begin(language: String(line.drop { $0 == "`" })) }
        continue
      }
      let isBlank = line.allSatisfy(\.isWhitespace)
      // An indented block begins after a blank line; deeper lines of a list go on with its text.
      let isIndented = line.hasPrefix("    ") && (open != nil || isAfterBlank)
      isAfterBlank = isBlank
      if isFenced || isIndented || open != nil && isBlank {
        if open == nil { begin() }
        open?.lines.append(line)
        continue
      }
      close()
      prose.append(line)
      if !isBlank { note = line.wholeMatch(of: /\s*<!-- (.+) -->\s*/).map { String($0.1) } }
    }
    close()
    self.prose = prose
    self.blocks = blocks
  }

  /// The lines of its code blocks; a line that ends in a backslash goes on in the next.
  var code: [String] { blocks.flatMap(\.commands) }

  var testDescription: String { path }

  var headings: [String] {
    prose.filter { $0.hasPrefix("#") }.map { $0.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces) }
  }

  /// The anchors of its headings, as GitHub makes them.
  var anchors: [String] {
    headings.map { heading in
      String(
        heading.lowercased().compactMap { $0 == " " ? "-" : $0.isLetter || $0.isNumber || "-_".contains($0) ? $0 : nil }
      )
    }
  }

  /// What stands between backticks, line ends as spaces.
  var codeSpans: [String] {
    let text = prose.joined(separator: "\n").replacingOccurrences(of: "\\|", with: "|")
    return text.components(separatedBy: "\n\n").flatMap { paragraph in
      paragraph.replacingOccurrences(of: "\n", with: " ").matches(of: /`([^`]+)`/).map { String($0.1) }
    }
  }

  /// The targets of its links and pictures.
  var links: [String] {
    prose.joined(separator: "\n").matches(of: /\]\(([^)\s]+)\)/).map { String($0.1) }
  }
}

func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: "\(repositoryRoot)/\(path)") }
