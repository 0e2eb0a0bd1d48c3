import Foundation
import TestSupport
import Testing

/// Jobs of which no rank can tell, since `mpirun` starts none or is stopped itself: the launch scripts do.

/// Hosts node1 and node2, which are this machine behind a remote agent, and launch scripts of few seconds' patience.
private struct Hosts {
  let bench: TrainingBench
  var root: String { bench.folder.path }

  /// - Parameter hanging: a host whose shell hangs where it is to start a daemon, though it answers questions.
  init(_ hosts: [String], hanging: String = "none") throws {
    bench = try TrainingBench(lanes: 4)
    try script(
      "agent",
      """
      host=$1; shift
      case "$host $*" in \(hanging)*orted*-mca*) : >'\(root)/asked'; exec '\(root)/sleep' 1000 ;; esac
      exec sh -c "$*"
      """)
    symlink("/bin/sleep", "\(root)/sleep")
    try hosts.map { "\($0) slots=1\n" }.joined().write(toFile: "\(root)/hosts", atomically: true, encoding: .utf8)
    try FileManager.default.copyItem(atPath: "\(repositoryRoot)/launch", toPath: "\(root)/launch")
    let watch = "\(root)/launch/watch.sh"
    let text = try String(contentsOfFile: watch, encoding: .utf8)
    let hasty = text.replacing("start_seconds=60\n", with: "start_seconds=3\n")
      .replacing("look_seconds=2\n", with: "look_seconds=1\n")
    try #require(hasty.count == text.count - 1)
    try hasty.write(toFile: watch, atomically: true, encoding: .utf8)
  }

  func script(_ name: String, _ text: String) throws {
    try "#!/bin/sh\n\(text)\n".write(toFile: "\(root)/\(name)", atomically: true, encoding: .utf8)
    chmod("\(root)/\(name)", 0o755)
  }

  func train(
    patience: Int, program: String? = nil, _ arguments: [String] = [], whileRunning: ((Int32) -> Void)? = nil
  ) throws -> ProcessResult {
    try run(
      "\(root)/launch/hosts",
      [
        "\(root)/hosts", "train", "\(root)/c.yaml", "--set", "run.dir=\(root)/run", "--threads", "1", "--set",
        "training.epochs=100000", "--set", "training.patience=0", "--set", "run.patience_seconds=\(patience)",
      ] + arguments,
      environment: ["ALA": program ?? bench.program, "OMPI_MCA_plm_rsh_agent": "\(root)/agent"], seconds: 60,
      whileRunning: whileRunning)
  }

  /// What has been started from the folder and has not ended.
  func left() throws -> String { try run("/usr/bin/pgrep", ["-f", "-a", root]).output }

  func wait(for name: String) {
    for _ in 0..<600 where !FileManager.default.fileExists(atPath: "\(root)/\(name)") { usleep(50_000) }
  }
}

@Test func aDaemonOfMpirunThatNeitherComesUpNorFailsEndsTheJobWithCode69() throws {
  let hosts = try Hosts(["node1", "node2"], hanging: "node2")
  let since = Date()
  let result = try hosts.train(patience: 4)
  #expect(result.code == 69 && Date().timeIntervalSince(since) < 30, "\(result)")
  #expect(result.errors.contains(/neither started a rank nor failed for \d s: .* daemons on node1, node2 have not all/))
  #expect(try hosts.left().isEmpty)
}

@Test func aSignalEndsAJobWhoseDaemonHangsWithCode75() throws {
  let hosts = try Hosts(["node1", "node2"], hanging: "node2")
  let since = Date()
  let result = try hosts.train(patience: 100) { launcher in
    hosts.wait(for: "asked")
    usleep(500_000)
    kill(launcher, SIGTERM)
  }
  // Whatever is left would keep this from its end.
  #expect(Date().timeIntervalSince(since) < 30)
  #expect(result.code == 75 && result.errors.contains("there was nothing to keep"), "\(result)")
  #expect(try hosts.left().isEmpty)
}

@Test(arguments: ["", "--tag-output", "--output-filename", "elsewhere"])
func aJobThatHasBegunIsLeftAloneAndItsFirstLinesAreSeenByNobody(errors: String) throws {
  let hosts = try Hosts(["node1"])
  // A script around the program that keeps its errors.
  try hosts.script("program", "exec '\(hosts.bench.program)' \"$@\" 2>>'\(hosts.root)/errors'")
  var options = errors.hasPrefix("--") ? ["--mpirun", errors] : []
  if errors == "--output-filename" { options.append("\(hosts.root)/output") }
  let result = try hosts.train(patience: 1, program: errors == "elsewhere" ? "\(hosts.root)/program" : nil, options) {
    hosts.wait(for: "run/log.txt")
    usleep(6_000_000)
    kill($0, SIGTERM)
  }
  #expect(result.code == 75 && !result.errors.contains("neither started"), "\(result)")
  #expect(FileManager.default.fileExists(atPath: "\(hosts.root)/run/checkpoints/last.h5"))
  #expect(!(result.output + result.errors).contains("ala-has-begun"), "\(result)")
  let kept = try run("/usr/bin/grep", ["-r", "-l", "ala-has-begun", "run", "output"], in: hosts.root)
  #expect(kept.output.isEmpty, "\(kept)")
}

@Test func aStoppedMpirunIsToldOfWhereNoRankIs() throws {
  let hosts = try Hosts([])
  try hosts.script("mpirun", "kill -STOP $$; exit 7")
  let told = "\(hosts.root)/told"
  let result = try run(
    "/bin/sh",
    [
      "-c", "exec \"$0\" \"$@\" 2>'\(told)'", "\(hosts.root)/launch/local", "train", "\(hosts.root)/c.yaml", "--set",
      "run.patience_seconds=2",
    ],
    environment: [
      "ALA": hosts.bench.program, "PATH": "\(hosts.root):\(ProcessInfo.processInfo.environment["PATH"] ?? "")",
    ], seconds: 60
  ) { _ in
    for _ in 0..<300 {
      usleep(50_000)
      let text = (try? String(contentsOfFile: told, encoding: .utf8)) ?? ""
      if let number = text.firstMatch(of: /mpirun has been stopped for \d+ s, .* kill -CONT (\d+),/)?.1 {
        kill(Int32(number) ?? 0, SIGCONT)
        break
      }
    }
  }
  let errors = try String(contentsOfFile: told, encoding: .utf8)
  #expect(result.code == 7, "\(errors)")
}

@Test func aKilledLaunchScriptLeavesNothingBehindItsJob() throws {
  let hosts = try Hosts([])
  // A path of the folder's own, by which what is left is found.
  try hosts.script("mpirun", ": >'\(hosts.root)/asked'; exec '\(hosts.root)/sleep' 3")
  _ = try run(
    "\(hosts.root)/launch/local", ["train", "\(hosts.root)/c.yaml"],
    environment: ["PATH": "\(hosts.root):/usr/bin:/bin", "ALA": hosts.bench.program], seconds: 30
  ) { launcher in
    hosts.wait(for: "asked")
    kill(launcher, SIGKILL)
  }
  for _ in 0..<200 where try !hosts.left().isEmpty { usleep(50_000) }
  #expect(try hosts.left().isEmpty)
}

@Test func whatARankSaysLastIsNotBuriedByMpirun() throws {
  let bench = try TrainingBench(lanes: 4)
  let result = try run(
    "\(repositoryRoot)/launch/local",
    [
      "train", "\(bench.folder.path)/c.yaml", "2", "--set", "run.dir=\(bench.folder.path)/run", "--set",
      "training.lr=x",
    ],
    environment: ["ALA": bench.program], seconds: 60)
  #expect(result.code == 78 && result.errors.contains("training.lr"), "\(result)")
  for words in ["Primary job", "Exit code:", "Process name", "----"] {
    #expect(!result.errors.contains(words), "\(result)")
  }
}
