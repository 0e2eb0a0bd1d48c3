import Foundation
import TestSupport
import Testing

/// What `ala watch` says of how a run was started, and what it shows where it may write nothing.

private let ala = builtProgram("ala")

@Test func theCommandThatGoesOnIsTheOneThatStartedTheRunWhereItWasTyped() throws {
  let bench = try TrainingBench(extra: "run: {dir: a run}")
  let root = bench.folder.path
  try FileManager.default.createSymbolicLink(
    atPath: "\(root)/launch", withDestinationPath: "\(repositoryRoot)/launch")
  func goesOn() throws -> String {
    let seen = try run(ala, ["watch", "\(root)/a run"], in: "/")
    let words = ": stopped; the same command goes on: "
    let line = try #require(seen.output.split(separator: "\n").first { $0.contains(words) }, "\(seen)")
    return line.components(separatedBy: words).last ?? ""
  }
  let launcher = "launch/local"
  let trained = try run(
    "\(root)/\(launcher)", ["train", "c.yaml", "2", "--resume", "never", "--set", "training.epochs=100000"], in: root,
    environment: ["ALA": ala]
  ) { process in
    waitForFirstStep(of: "\(root)/a run")
    kill(process, SIGTERM)
  }
  #expect(trained.code == 75, "\(trained.errors)")
  #expect(try goesOn() == "cd \(root) && \(root)/\(launcher) train c.yaml 2 --set training.epochs=100000")
  let again = try run(
    "/bin/sh", ["-c", "\(try goesOn()) --stop-after-steps 1"], in: "/", environment: ["ALA": ala])
  #expect(again.code == 0 && again.errors.contains("resuming from "), "\(again.errors)")

  let alone = try run(
    ala, ["train", "--config", "c.yaml", "--set", "training.epochs=100000", "--stop-after-steps", "1"], in: root)
  #expect(alone.code == 0, "\(alone.errors)")
  #expect(
    try goesOn() == "cd \(root) && \(ala) train --config c.yaml --set training.epochs=100000 --stop-after-steps 1")

  let batch = ["sbatch", "/x/launch/slurm", "train", "my own.yaml", ""].joined(separator: "\u{1F}")
  let queued = try run(
    ala, ["train", "--config", "c.yaml", "--set", "training.epochs=100000", "--stop-after-steps", "1"], in: root,
    environment: ["ALA_LAUNCHED": batch, "SLURM_JOB_NUM_NODES": "1", "SLURM_CPUS_PER_TASK": "4"])
  #expect(queued.code == 0, "\(queued.errors)")
  #expect(
    try goesOn() == "cd \(root) && sbatch --nodes=1 --cpus-per-task=4 /x/launch/slurm train 'my own.yaml'")
}

/// Of somebody else's run.
@Test func aRunInAFolderThatCannotBeWrittenIntoIsSeenWithoutItsPage() throws {
  guard getuid() == 0 else { return }
  let folder = try handMadeRun()
  chmod(folder.path, 0o755)
  func asAnother(_ arguments: [String]) throws -> ProcessResult {
    try run(
      "/usr/bin/setpriv", ["--reuid", "65534", "--clear-groups", ala, "watch", folder.path, "--once"] + arguments)
  }
  let seen = try asAnother([])
  #expect(seen.code == 0 && seen.output.contains("epoch 2 of 4 (ones), step 3 of 8"), "\(seen)")
  #expect(seen.output.contains("page: none") && seen.output.contains("--out FILE"), "\(seen)")
  #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/watch.html"))
  let elsewhere = try TemporaryFolder()
  chmod(elsewhere.path, 0o777)
  #expect(try asAnother(["--out", "\(elsewhere.path)/new/w.html"]).code == 0)
  // Nobody writes that page again.
  let text = try String(contentsOfFile: "\(elsewhere.path)/new/w.html", encoding: .utf8)
  #expect(text.contains("epoch 2 of 4") && !text.contains("looks again"), "\(text.prefix(3000))")
}
