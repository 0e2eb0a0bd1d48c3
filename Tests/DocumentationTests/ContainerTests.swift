import Foundation
import TestSupport
import Testing

/// No engine runs here: what of the recipes can be held without one.

private func text(_ path: String) throws -> String {
  try String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)
}

@Test func theApptainerImageIsBuiltOfAllThatTheArchiveIsMadeOf() throws {
  let recipe = try text("containers/ala.def")
  let section = try #require(recipe.firstMatch(of: /(?ms)^%files\n(.*?)\n\n/)?.1)
  let taken = Set(section.split(separator: "\n").compactMap { $0.split(separator: " ").first.map(String.init) })
  for path in taken {
    #expect(FileManager.default.fileExists(atPath: "\(repositoryRoot)/\(path)"), "containers/ala.def: \(path)")
  }
  let copied = try #require(try text("scripts/package").firstMatch(of: /(?m)^cp -R (.+) "\$root\/"$/)?.1)
  let built = ["Package.swift", "Plugins", "Sources", "Tests", "scripts"]
  let needed = copied.split(separator: " ").map(String.init) + built
  for path in needed { #expect(taken.contains(path), "containers/ala.def does not take \(path)") }
}

@Test func bothImagesComeOfTheSameTwoDebians() throws {
  let bases = { (path: String, line: Regex<(Substring, Substring)>) in
    try text(path).matches(of: line).map { String($0.1) }
  }
  let docker = try bases("containers/Dockerfile", /(?m)^FROM (\S+)/)
  #expect(docker.count == 2)
  #expect(try bases("containers/ala.def", /(?m)^From: (\S+)/) == docker)
}
