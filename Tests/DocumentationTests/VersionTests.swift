import Foundation
import TestSupport
import Testing

/// What a build says of the commit that it is made from.

private struct Package {
  let folder: TemporaryFolder

  /// A copy of the script, and of what tells an archive's commit, where the package has them.
  init() throws {
    folder = try TemporaryFolder()
    let place = "\(folder.path)/ala/Plugins/CommitOfBuild"
    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
    for name in ["Plugins/CommitOfBuild/commit-of-build", "Plugins/CommitOfBuild/archived-commit", ".gitattributes"] {
      try FileManager.default.copyItem(atPath: "\(repositoryRoot)/\(name)", toPath: "\(folder.path)/ala/\(name)")
    }
  }

  var root: String { "\(folder.path)/ala" }

  func git(_ arguments: [String], in place: String) throws -> String {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    let result = try run("/usr/bin/git", identity + arguments, in: place)
    #expect(result.code == 0, "\(result.errors)")
    return result.output.trimmingCharacters(in: .whitespacesAndNewlines)
  }

  func commit(_ given: String = "", in place: String? = nil) throws -> String {
    let made = "\(folder.path)/made.swift"
    let result = try run("/bin/sh", ["\(place ?? root)/Plugins/CommitOfBuild/commit-of-build", made, given], in: "/")
    #expect(result.code == 0 && result.errors.isEmpty, "\(result.errors)")
    let text = try String(contentsOfFile: made, encoding: .utf8)
    return String(try #require(text.firstMatch(of: /let commitOfBuild = "(.*)"\n/)).1)
  }
}

@Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/git"), "git is not there"))
func aBuildNamesItsCommitAndWhetherItDiffersFromIt() throws {
  let package = try Package()
  #expect(try package.commit() == "")
  // A release that is unpacked in somebody's repository is not of its commits.
  _ = try package.git(["init", "-q"], in: package.folder.path)
  _ = try package.git(["commit", "-q", "--allow-empty", "-m", "theirs"], in: package.folder.path)
  #expect(try package.commit() == "")
  _ = try package.git(["init", "-q"], in: package.root)
  #expect(try package.commit() == "")
  _ = try package.git(["add", "."], in: package.root)
  _ = try package.git(["commit", "-q", "-m", "ours"], in: package.root)
  let own = try package.git(["rev-parse", "--short=12", "HEAD"], in: package.root)
  #expect(try package.commit() == own)
  try "# more\n".write(toFile: "\(package.root)/Plugins/CommitOfBuild/other", atomically: true, encoding: .utf8)
  #expect(try package.commit() == own)
  _ = try package.git(["add", "."], in: package.root)
  #expect(try package.commit() == "\(own), modified")
  // A packager knows better, and what is given cannot end the text in the source.
  #expect(try package.commit("v1.2-3") == "v1.2-3")
  #expect(try package.commit("a\" + evil()\n//") == "a + evil")
}

@Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/git"), "git is not there"))
func anArchiveThatGitHasMadeNamesItsCommit() throws {
  let package = try Package()
  for arguments in [["init", "-q"], ["add", "."], ["commit", "-q", "-m", "ours"]] {
    _ = try package.git(arguments, in: package.root)
  }
  let own = try package.git(["rev-parse", "--short=12", "HEAD"], in: package.root)
  let place = "\(package.folder.path)/unpacked"
  try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
  _ = try package.git(["archive", "--output", "\(place)/ala.tar", "HEAD"], in: package.root)
  #expect(try run("/usr/bin/env", ["tar", "-xf", "ala.tar"], in: place).code == 0)
  #expect(try package.commit(in: place) == own)
  #expect(try package.commit("v1.2-3", in: place) == "v1.2-3")
}
