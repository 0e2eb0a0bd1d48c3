import Foundation
import TestSupport
import Testing

/// A document of the repository: Markdown as these tests need it read.
struct Document: Sendable, CustomTestStringConvertible {
  /// Relative to the repository's root.
  let path: String
  /// Its lines outside code blocks.
  let prose: [String]
  /// The lines of its indented and fenced code blocks; a line that ends in a backslash goes on in the next.
  let code: [String]

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
    var prose: [String] = []
    var code: [String] = []
    var isFenced = false
    var isAfterBlank = true
    var isBlock = false
    for line in text.components(separatedBy: "\n") {
      if line.hasPrefix("```") {
        isFenced.toggle()
        continue
      }
      let isBlank = line.allSatisfy(\.isWhitespace)
      // An indented block begins after a blank line; deeper lines of a list go on with its text.
      isBlock = line.hasPrefix("    ") && (isBlock || isAfterBlank) || isBlock && isBlank
      isAfterBlank = isBlank
      if isFenced || isBlock && !isBlank { code.append(line) } else { prose.append(line) }
    }
    self.prose = prose
    self.code = code.reduce(into: []) { joined, line in
      if let last = joined.last, last.hasSuffix("\\") {
        joined[joined.count - 1] = String(last.dropLast() + line.drop(while: \.isWhitespace))
      } else {
        joined.append(line)
      }
    }
  }

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
