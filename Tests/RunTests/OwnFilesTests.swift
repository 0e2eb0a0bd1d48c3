import Foundation
import TestSupport
import Testing

/// No command replaces a file that it didn't make, or that it reads.

@Test func aSyntheticSetIsMadeAnewButNeverAmongFilesOfOthers() throws {
  let folder = try TemporaryFolder()
  let out = "\(folder.path)/data"
  func synth(_ classes: String, _ flags: [String] = []) throws -> ProcessResult {
    try run(
      builtProgram("ala"),
      ["synth", "--out", out, "--classes", classes, "--images-per-class", "2", "--size", "32"] + flags)
  }
  func names() throws -> Set<String> {
    Set(FileManager.default.enumerator(atPath: out)?.compactMap { $0 as? String } ?? [])
  }
  #expect(try synth("3").code == 0)
  let sums = try run("/usr/bin/sha256sum", ["-c", "--quiet", ".ala-made"], in: out)
  #expect(sums.code == 0, "\(sums.output)")
  let fewer = try synth("2")
  #expect(fewer.code == 0, "\(fewer.errors)")
  #expect(try !names().contains { $0.contains("003.Synthetic_003") })

  try Data("mine".utf8).write(to: URL(fileURLWithPath: "\(out)/notes.txt"))
  let stranger = try synth("2")
  #expect(stranger.code == 73 && stranger.errors.contains("notes.txt") && stranger.errors.contains("--overwrite"))
  try FileManager.default.removeItem(atPath: "\(out)/notes.txt")
  try Data("1 mine\n".utf8).write(to: URL(fileURLWithPath: "\(out)/classes.txt"))
  #expect(try synth("2").code == 73)
  #expect(FileManager.default.contents(atPath: "\(out)/classes.txt") == Data("1 mine\n".utf8))
  #expect(try synth("2", ["--overwrite"]).code == 0)

  // What a killed call has left is its own.
  try FileManager.default.removeItem(atPath: "\(out)/images.txt")
  let list = try String(contentsOfFile: "\(out)/.ala-made", encoding: .utf8)
  let dots = String(repeating: ".", count: 64)
  let unfinished = list.split(separator: "\n").map { dots + $0.dropFirst(64) }.joined(separator: "\n")
  try unfinished.write(toFile: "\(out)/.ala-made", atomically: true, encoding: .utf8)
  try Data("half".utf8).write(to: URL(fileURLWithPath: "\(out)/encoder.safetensors"))
  try Data("half".utf8).write(to: URL(fileURLWithPath: "\(out)/encoder.safetensors.tmp-1"))
  #expect(try synth("2").code == 0)
}

@Test func homeIsFoundInFlagsThatShellsLeaveAlone() throws {
  let folder = try TemporaryFolder()
  let made = try run(
    builtProgram("ala"), ["synth", "--out=~/made", "--classes", "1", "--images-per-class", "2", "--size", "16"],
    environment: ["HOME": folder.path])
  #expect(made.code == 0 && FileManager.default.fileExists(atPath: "\(folder.path)/made/images.txt"), "\(made.errors)")
}

@Test func whatInspectCannotOpenHasAReason() throws {
  let folder = try TemporaryFolder()
  func inspect(_ path: String) throws -> ProcessResult { try run(builtProgram("ala"), ["inspect", path]) }
  let absent = try inspect("\(folder.path)/absent")
  #expect(absent.code == 66 && absent.errors.contains("No such file or directory"))
  let directory = try inspect(folder.path)
  #expect(directory.code == 65 && directory.errors.contains("is a folder"))
  try Data().write(to: URL(fileURLWithPath: "\(folder.path)/empty"))
  let empty = try inspect("\(folder.path)/empty")
  #expect(empty.code == 65 && empty.errors.contains("is empty"))
}

@Test func aDryRunOfExportWritesNothing() throws {
  let folder = try TemporaryFolder()
  let (root, program) = (folder.path, builtProgram("ala"))
  #expect(
    try run(program, ["synth", "--out", "\(root)/data", "--classes", "1", "--images-per-class", "4", "--size", "16"])
      .code == 0)
  try "data: {root: \(root)/data}\nencoder: {weights: \(root)/data/encoder.safetensors}"
    .write(toFile: "\(root)/c.yaml", atomically: true, encoding: .utf8)
  let dry = try run(
    program, ["export", "--config", "\(root)/c.yaml", "--checkpoint", "\(root)/x", "--out", "\(root)/o", "--dry-run"])
  #expect(dry.code == 0 && dry.output.contains("training:"), "\(dry.errors)")
  #expect(!FileManager.default.fileExists(atPath: "\(root)/o"))
}
