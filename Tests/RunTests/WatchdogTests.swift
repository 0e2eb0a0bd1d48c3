import Foundation
import TestSupport
import Testing

/// What is promised where a rank is stopped: an end within a time that the user has chosen, and a sentence that names it.

private let patience = 2

/// The ranks of an `mpirun`, by their number, once the run has begun its steps.
private func ranks(of mpirun: Int32, inRun folder: String) -> [Int32] {
  waitForFirstStep(of: folder)
  let found = try? run("/usr/bin/pgrep", ["-P", "\(mpirun)"])
  return (found?.output ?? "").split(separator: "\n").compactMap { Int32($0) }.sorted()
}

private let endless = [
  "--set", "training.epochs=100000", "--set", "training.patience=0", "--set", "run.patience_seconds=\(patience)",
]

@Test(arguments: [0, 1, 2]) func aStoppedRankIsNamedAndTheJobEndsWithCode69(stopped: Int) throws {
  let bench = try TrainingBench(lanes: 4)
  var since = Date()
  let result = try bench.ala("train", ranks: 3, run: "stopped", endless) { mpirun in
    let ranks = ranks(of: mpirun, inRun: "\(bench.folder.path)/stopped")
    guard ranks.count == 3 else { return }
    kill(ranks[stopped], SIGSTOP)
    since = Date()
  }
  #expect(result.code == 69, "\(result.errors)")
  #expect(Date().timeIntervalSince(since) < 30)
  let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("ala: error: ") }
  #expect(lines.count == 1 && lines[0].contains("rank \(stopped) on "), "\(lines)")
  #expect(lines.first?.contains(/has not answered .*for \d+ s; it was last heard of in:/) == true, "\(lines)")
}

@Test(arguments: [["--set", "run.patience_seconds=1"], []])
func whatSettingsSayOfPatienceHoldsWhileMPIStarts(set: [String]) throws {
  let bench = try TrainingBench(lanes: 4, extra: set.isEmpty ? "run: {patience_seconds: 1}" : "")
  var areRanksLeft = true
  _ = try bench.ala("train", ranks: 2, run: "start", set) { mpirun in
    // Ranks that have just begun wait for an answer of mpirun's.
    for _ in 0..<400 {
      if let found = try? run("/usr/bin/pgrep", ["-P", "\(mpirun)"]), !found.output.isEmpty { break }
      usleep(5_000)
    }
    kill(mpirun, SIGSTOP)
    for _ in 0..<300 {
      usleep(100_000)
      guard let left = try? run("/bin/sh", ["-c", "ps -o stat= --ppid \(mpirun) | grep -v Z"]) else { continue }
      areRanksLeft = !left.output.isEmpty
      if !areRanksLeft { break }
    }
    kill(mpirun, SIGKILL)
  }
  #expect(!areRanksLeft)
}

@Test func aJobThatIsSuspendedWhollyGoesOnWhenItIsContinued() throws {
  let bench = try TrainingBench(lanes: 4)
  let result = try bench.ala("train", ranks: 2, run: "suspended", endless) { mpirun in
    let ranks = ranks(of: mpirun, inRun: "\(bench.folder.path)/suspended")
    for rank in ranks { kill(rank, SIGSTOP) }
    usleep(UInt32(patience * 1_500_000) + 2_000_000)
    for rank in ranks { kill(rank, SIGCONT) }
    usleep(1_500_000)
    kill(mpirun, SIGUSR1)
  }
  #expect(result.code == 75, "\(result.errors)")
}

@Test func aSecondSignalToTheLaunchScriptEndsAJobThatCannotHearTheFirst() throws {
  let bench = try TrainingBench(lanes: 4)
  let folder = bench.folder.path
  let long = ["--set", "training.epochs=100000", "--set", "training.patience=0", "--set", "run.dir=\(folder)/deaf"]
  var since = Date()
  let result = try run(
    "\(repositoryRoot)/launch/local", ["train", "\(folder)/c.yaml", "2"] + long, environment: ["ALA": bench.program],
    seconds: 60
  ) { script in
    var mpirun: Int32?
    for _ in 0..<600 where mpirun == nil {
      usleep(50_000)
      let found = try? run("/usr/bin/pgrep", ["-P", "\(script)", "mpirun"])
      mpirun = found.flatMap { Int32($0.output.trimmingCharacters(in: .whitespacesAndNewlines)) }
    }
    let found = mpirun.map { ranks(of: $0, inRun: "\(folder)/deaf") } ?? []
    if found.count == 2 { kill(found[1], SIGSTOP) }
    kill(script, SIGTERM)
    usleep(3_200_000)
    kill(script, SIGTERM)
    since = Date()
  }
  #expect(result.code == 128 + SIGTERM && result.errors.contains("a second signal"), "\(result.errors)")
  #expect(Date().timeIntervalSince(since) < 20)
}
