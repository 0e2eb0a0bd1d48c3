import Foundation
import TestSupport
import Testing

/// What every script of `scripts/` does with words that it does not know.

private let scripts = [
  "check-report", "check-tensorboard", "convert-weights", "draw-pictures", "fidelity", "install-dependencies",
  "package",
  "plot-losses", "precision-drift", "quickstart", "test", "torture",
]

@Test(arguments: scripts) func aScriptTellsItsUsageAndDoesNothingAtWordsThatItDoesNotKnow(name: String) throws {
  let script = "\(repositoryRoot)/scripts/\(name)"
  let help = try run(script, ["--help"], seconds: 20)
  #expect(help.code == 0 && help.output.contains("usage: "), "\(help)")
  let other = try run(script, ["--nothing-of-it"], seconds: 20)
  #expect(other.code == 64 && other.errors.contains("usage: "), "\(other)")
}

/// An archive may lie where its user cannot write.
@Test func theQuickstartWritesIntoTheFolderThatItIsGiven() throws {
  let folder = try TemporaryFolder()
  let archive = "\(folder.path)/archive"
  for name in ["scripts", "bin", "configs"] {
    try FileManager.default.createDirectory(atPath: "\(archive)/\(name)", withIntermediateDirectories: true)
  }
  try FileManager.default.copyItem(
    atPath: "\(repositoryRoot)/scripts/quickstart", toPath: "\(archive)/scripts/quickstart")
  try FileManager.default.copyItem(
    atPath: "\(repositoryRoot)/configs/quickstart.yaml", toPath: "\(archive)/configs/quickstart.yaml")
  try FileManager.default.createSymbolicLink(
    atPath: "\(archive)/bin/ala", withDestinationPath: builtProgram("ala"))
  try FileManager.default.createSymbolicLink(
    atPath: "\(archive)/scripts/install-dependencies", withDestinationPath: "/bin/true")
  let before = try FileManager.default.subpathsOfDirectory(atPath: archive)
  let made = try run("\(archive)/scripts/quickstart", ["mine and only"], in: folder.path, seconds: 300)
  #expect(made.code == 0, "\(made.errors)")
  for name in ["report.html", "run/checkpoints/best.h5", "test/summary.json", "cache/index.h5"] {
    #expect(FileManager.default.fileExists(atPath: "\(folder.path)/mine and only/\(name)"), "\(name)")
  }
  #expect(try FileManager.default.subpathsOfDirectory(atPath: archive) == before)
  let refused = try run("\(archive)/scripts/quickstart", ["/proc/nothing"], seconds: 20)
  #expect(refused.code == 73 && refused.errors.contains("scripts/quickstart DIR"), "\(refused)")
}
