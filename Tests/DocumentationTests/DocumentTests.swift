import Foundation
import TestSupport
import Testing

/// Documents name what is there.

@Test(arguments: Document.all) func everyRelativeLinkAndAnchorResolves(document: Document) {
  #expect(!document.headings.isEmpty, "\(document.path) is empty, or not there")
  let folder = (document.path as NSString).deletingLastPathComponent
  for link in document.links where !link.contains("://") && !link.hasPrefix("mailto:") {
    let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let target = parts[0].isEmpty ? document.path : (folder as NSString).appendingPathComponent(parts[0])
    #expect(isThere(target), "\(document.path): \(link)")
    let hasAnchor = parts.count == 1 || Document(path: target).anchors.contains(parts[1])
    #expect(hasAnchor, "\(document.path): \(link)")
  }
}

@Test(arguments: Document.all) func everyFileThatADocumentNamesIsThere(document: Document) {
  for span in document.codeSpans {
    guard let match = span.wholeMatch(of: /((?:Sources|Tests|scripts|configs|launch|docs)\/[A-Za-z0-9_.+\/-]+)( .*)?/)
    else { continue }
    #expect(isThere(String(match.1)), "\(document.path): names \(match.1)")
  }
}

@Test func everyTestThatTheMethodCitesIsThereAndEverySectionCitesCodeAndTest() throws {
  let document = Document(path: "docs/model.md")
  let tests = try filesBelow("Tests").filter { $0.hasSuffix(".swift") }.map {
    try String(contentsOfFile: "\(repositoryRoot)/\($0)", encoding: .utf8)
  }
  let names = Set(tests.flatMap { $0.matches(of: /func ([A-Za-z0-9_]+)\(/).map { String($0.1) } })
  let sections = document.prose.joined(separator: "\n").components(separatedBy: "\n## ").dropFirst()
  #expect(sections.count >= 10)
  for section in sections {
    let title = section.prefix { $0 != "\n" }
    let line = section.replacingOccurrences(of: "\n", with: " ").firstMatch(of: /\*code: (.+?); tests?: (.+?)\*/)
    guard let line else {
      Issue.record("docs/model.md, \(title): does not end in *code: …; test: …*")
      continue
    }
    for name in line.2.matches(of: /`([A-Za-z0-9_]+)`/) {
      // Asked for beforehand, so that a failure does not print them all.
      let isThere = names.contains(String(name.1))
      #expect(isThere, "docs/model.md, \(title): no test is called \(name.1)")
    }
  }
}

/// The modules in the order in which the architecture's table has them.
private let rooms = Document(path: "docs/architecture.md").prose.filter { $0.hasPrefix("| `") }.flatMap { row in
  row.split(separator: "|")[0].matches(of: /`(\w+)`/).map { String($0.1) }
}

@Test func theArchitectureHasARoomForEveryModule() throws {
  let package = try String(contentsOfFile: "\(repositoryRoot)/Package.swift", encoding: .utf8)
  // The declarations at the depth of the list of targets, each with its arguments; tests have no room.
  let targets = package.split(separator: /\n {4}(?=\S)/).filter { !$0.contains("path: \"Tests") }
  func names(_ kind: Regex<(Substring, Substring)>) -> Set<String> {
    Set(targets.compactMap { $0.prefixMatch(of: kind).map { String($0.1) } })
  }
  let libraries = names(/system\(\s*"(\w+)"/)
  let modules = names(/(?:module\(|\.(?:executableTarget|target)\(\s*name:)\s*"(\w+)"/)
  #expect(libraries.contains("CMPI") && modules.isSuperset(of: ["ala", "TensorBoard", "Tensor"]))
  let difference = libraries.union(modules).symmetricDifference(rooms).sorted()
  #expect(difference.isEmpty, "docs/architecture.md and Package.swift differ")
  let picture = Set(Document(path: "docs/architecture.md").code.flatMap { $0.split { !$0.isLetter && !$0.isNumber } })
  for room in rooms where !libraries.contains(room) {
    let isDrawn = picture.contains(Substring(room))
    #expect(isDrawn, "docs/architecture.md: the picture has no room \(room)")
  }
}

@Test func importsGoUpwardsInTheTableOfRooms() throws {
  let place = Dictionary(uniqueKeysWithValues: rooms.enumerated().map { ($1, $0) })
  for path in filesBelow("Sources") where path.hasSuffix(".swift") {
    let module = String(path.split(separator: "/")[1])
    let own = try #require(place[module], "docs/architecture.md has no room for \(path)")
    let source = try String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)
    for line in source.matches(of: /(?m)^ *(?:@\w+ )?import (\w+)/) {
      guard let other = place[String(line.1)] else { continue }
      #expect(other < own, "\(path) imports \(line.1), whose room is not above \(module)'s")
    }
  }
}
