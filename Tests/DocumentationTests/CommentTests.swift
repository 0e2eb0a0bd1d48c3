import Foundation
import TestSupport
import Testing

/// Comments name documents of the repository, by path and heading.

/// A comment's mention of a document: its path and the headings named behind it, as in `docs/model.md, "Lanes"`.
private func mentions(in source: String) -> [(path: String, headings: [String])] {
  // The comments alone, each as one line.
  let comments = source.components(separatedBy: "\n").map { line -> String in
    let trimmed = line.trimmingCharacters(in: .whitespaces)
    return trimmed.hasPrefix("//") ? " " + trimmed.drop { $0 == "/" }.trimmingCharacters(in: .whitespaces) : "\n"
  }.joined()
  return comments.matches(of: /([A-Za-z0-9_\/.-]+\.md)((?:(?:,| and) "[^"]+")*)/).map { match in
    (String(match.1), match.2.matches(of: /"([^"]+)"/).map { String($0.1) })
  }
}

@Test func everyDocumentThatACommentNamesIsThereAndHasThatHeading() throws {
  let sources = (filesBelow("Sources") + filesBelow("Tests")).filter { $0.hasSuffix(".swift") }
  // These tests quote documents that are not there.
  for path in sources where !path.hasPrefix("Tests/DocumentationTests/") {
    for mention in mentions(in: try String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)) {
      #expect(isThere(mention.path), "\(path): names \(mention.path)")
      let headings = Document(path: mention.path).headings
      for heading in mention.headings {
        #expect(headings.contains(heading), "\(path): \(mention.path) has no heading \"\(heading)\"")
      }
    }
  }
}

@Test func aMentionIsReadOverTheEndOfALine() {
  let found = mentions(
    in: "  /// Sums (docs/model.md, \"Lanes\" and\n  /// \"Update\").\nlet a = \"b.md\"\n// model.md 8")
  #expect(found.map(\.path) == ["docs/model.md", "model.md"])
  #expect(found.map(\.headings) == [["Lanes", "Update"], []])
}
