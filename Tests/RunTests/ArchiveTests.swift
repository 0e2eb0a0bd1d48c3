import Foundation
import Storage
import TestSupport
import Testing

/// The archive that `scripts/package` makes.

private let onBareDebian = "\(repositoryRoot)/Tests/Archive/on-bare-debian"

/// The archive of the program under test, in a folder of its own.
private func packed(into folder: String) throws -> String {
  let result = try run("\(repositoryRoot)/scripts/package", ["--out", folder, "--program", builtProgram("ala")])
  try #require(result.code == 0, "\(result.errors)")
  return try #require(result.output.split(separator: "\n").last.map(String.init))
}

/// Why there can be no archive here; nil where there can.
private let obstacle: String? = {
  let found = try? run("/bin/sh", ["-c", "command -v patchelf && command -v strip"])
  return found?.code == 0 ? nil : "patchelf or strip is not installed (scripts/install-dependencies --package)"
}()

/// Where a Debian 12 without anything is made, once, for the test that removes it.
private let debian = NSTemporaryDirectory() + "ala-test-\(getpid())-debian"

/// Why there can be no such Debian here; nil where it has been made.
private let obstacleToDebian: String? = {
  if let obstacle { return obstacle }
  let made = try? run(onBareDebian, ["make", debian], seconds: 300)
  if made?.code == 0 { return nil }
  try? FileManager.default.removeItem(atPath: debian)
  return "no bare Debian can be made here: \(made?.errors ?? "on-bare-debian cannot run")"
}()

@Test(.enabled(if: isFree(obstacle), "no archive can be made here"))
func theArchiveIsNamedForVersionAndMachineAndHasWhatItsUsersNeed() throws {
  let folder = try TemporaryFolder()
  let archive = try packed(into: folder.path)
  let version = try run(builtProgram("ala"), ["--version"]).output.split(separator: "\n")[0].split(separator: " ")[1]
  let machine = try run("/usr/bin/uname", ["-m"]).output.trimmingCharacters(in: .whitespacesAndNewlines)
  let name = "ala-\(version)-\(machine)"
  #expect((archive as NSString).lastPathComponent == "\(name).tar.gz")
  let entries = Set(try run("/bin/tar", ["-tzf", archive]).output.split(separator: "\n").map(String.init))
  for path in [
    "bin/ala", "lib/libswiftCore.so", "lib/libFoundation.so", "launch/local", "launch/hosts", "launch/slurm",
    "launch/mpi.sh", "configs/quickstart.yaml", "docs/settings.md", "README.md", "LICENSE", "CHANGELOG.md",
    "scripts/quickstart", "scripts/install-dependencies", "share/licenses/swift/LICENSE.txt",
  ] {
    #expect(entries.contains("\(name)/\(path)"), "\(path) is not in the archive")
  }
  #expect(entries.allSatisfy { $0.hasPrefix("\(name)/") })
  // Again, to the last byte, and nothing else is left.
  let first = try Data(contentsOf: URL(fileURLWithPath: archive))
  #expect(try Data(contentsOf: URL(fileURLWithPath: packed(into: folder.path))) == first)
  #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["\(name).tar.gz"])
}

@Test(.enabled(if: isFree(obstacleToDebian), "no bare Debian can be made here"))
func theArchiveTrainsTheSameBitsOnABareDebianWithoutSwift() throws {
  defer { try? FileManager.default.removeItem(atPath: debian) }
  let bench = try TrainingBench(lanes: 4)
  let folder = bench.folder.path
  _ = try packed(into: folder)
  let result = try run(
    "/usr/bin/unshare",
    [
      "--mount", "--pid", "--fork", "--kill-child", onBareDebian, "run", debian, folder, "sh", "-ec",
      """
      if command -v swift; then exit 1; fi
      mkdir "/opt/any where"
      tar -xzf "\(folder)"/ala-*.tar.gz -C "/opt/any where"
      cd "/opt/any where"/ala-*
      scripts/install-dependencies --runtime
      cd "\(folder)"
      "$OLDPWD/launch/local" train c.yaml 2 --set "run.dir=\(folder)/bare"
      "$OLDPWD/bin/ala" explain data/images/001.Synthetic_001/Synthetic_001_0001.png --checkpoint bare --out explained
      """,
    ], seconds: 400)
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.ala("train", run: "here").code == 0)
  #expect(try bench.digest("bare") == bench.digest("here"))
}
