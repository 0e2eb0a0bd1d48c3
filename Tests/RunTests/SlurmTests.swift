import Foundation
import Storage
import TestSupport
import Testing

/// `launch/slurm` as a job of a real Slurm, whose two nodes are this machine (Tests/Slurm/with-slurm).

/// In namespaces of its own, so that its daemons end with it, however it ends.
private func withSlurm(_ arguments: [String], environment: [String: String] = [:], seconds: Double) throws
  -> ProcessResult
{
  let program = "\(repositoryRoot)/Tests/Slurm/with-slurm"
  return try run(
    "/usr/bin/unshare", ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", program] + arguments,
    environment: environment, seconds: seconds)
}

private let job = "\(repositoryRoot)/launch/slurm"

/// Why there can be no Slurm here; nil where there can.
private let obstacle: String? = {
  guard let folder = try? TemporaryFolder() else { return "no temporary folder" }
  let tried = try? withSlurm(["\(folder.path)/s", "true"], seconds: 60)
  return tried?.code == 0 ? nil : "no Slurm can be started here: \(tried?.errors ?? "no unshare")"
}()

/// What Slurm keeps of a job: `Restarts`, `JobState` and so on.
private func record(_ name: String, in output: String) -> [String: String] {
  let line = output.split(separator: "\n").first { $0.contains(" JobName=\(name) ") } ?? ""
  let pairs = line.split(separator: " ").map { $0.split(separator: "=", maxSplits: 1) }.filter { $0.count == 2 }
  return Dictionary(pairs.map { (String($0[0]), String($0[1])) }) { first, _ in first }
}

@Test(.enabled(if: isFree(obstacle), "no Slurm can be started here"))
func aJobWhoseTimeIsUpQueuesItselfAgainAndEndsInTheBitsOfAnUndisturbedRun() throws {
  let bench = try TrainingBench(lanes: 4, extra: "checkpoint: {every_minutes: 0.002}")
  let folder = bench.folder.path
  // The first start trains until it is stopped; the second makes five steps more.
  let program = "\(folder)/program"
  try """
  #!/bin/sh
  [ "${SLURM_RESTART_COUNT:-0}" = 0 ] || set -- "$@" --stop-after-steps 5
  exec \(bench.program) "$@"
  """.write(toFile: program, atomically: true, encoding: .utf8)
  try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: program)
  let endless = ["--set", "training.epochs=100000", "--set", "training.patience=0"]

  // The jobs take both nodes, in turn. Slurm looks at the limits of time every 30 seconds; meanwhile the others are signalled.
  let result = try withSlurm(
    [
      "\(folder)/s", "sh", "-c",
      """
      cd \(folder)
      submit() { # NAME "OPTIONS" ARGUMENTS...: the run's folder has the job's name
        name=$1 options=$2; shift 2
        sbatch --quiet --job-name="$name" --output="$name.log" $options "\(job)" train c.yaml \
          --set "run.dir=\(folder)/$name run" \(endless.joined(separator: " ")) "$@" || exit 1
      }
      signal() { # NAME SIGNAL: once it has trained
        until [ -e "$1 run/checkpoints/last.h5" ]; do sleep 0.1; done
        scancel --batch --signal="$2" --name="$1"
      }
      submit ended --ntasks=2 --mpirun --oversubscribe
      submit asked "--nodes=2 --ntasks-per-node=1" --mpirun --oversubscribe
      submit limit "--nodes=2 --cpus-per-task=1 --time=1 --signal=B:USR1@55"
      signal ended TERM
      signal asked USR1
      while [ -n "$(squeue --noheader)" ]; do sleep 0.2; done
      scontrol --oneliner show job
      """,
    ], environment: ["ALA": program], seconds: 150)
  func log(_ name: String) -> String {
    (try? String(contentsOfFile: "\(folder)/\(name).log", encoding: .utf8)) ?? "no log"
  }
  #expect(result.code == 0, "\(result.errors)")
  for (name, launcher) in [("asked", "mpirun"), ("limit", "srun")] {
    let record = record(name, in: result.output)
    #expect(record["Restarts"] == "1" && record["JobState"] == "COMPLETED", "\(result.output)\n\(log(name))")
    #expect(log(name).contains("start 2: 2 ranks on ") && log(name).contains("by \(launcher)\n"), "\(log(name))")
    let last = try bench.checkpoint("\(name) run")
    #expect(last.integer("world_size") == 2)
    let step = try #require(last.integer("step"))
    #expect(step > 5)
    #expect(try bench.ala("train", run: "alone \(name)", endless + ["--stop-after-steps", "\(step)"]).code == 0)
    #expect(try bench.digest("\(name) run") == bench.digest("alone \(name)"))
  }
  let advice = "a rank for each node: more by --ntasks=N"
  #expect(log("limit").contains(advice) && !log("asked").contains(advice) && !log("ended").contains(advice))
  // Who ends a job by TERM does not want it again.
  let ended = record("ended", in: result.output)
  #expect(ended["Restarts"] == "0" && ended["ExitCode"] == "75:0", "\(result.output)\n\(log("ended"))")
}

@Test(.enabled(if: isFree(obstacle), "no Slurm can be started here"))
func ranksOfSrunThatAreAllStoppedAreToldOfInTheJobsLogAndGoOn() throws {
  let bench = try TrainingBench(lanes: 4)
  let folder = bench.folder.path
  let result = try withSlurm(
    [
      "\(folder)/s", "sh", "-c",
      """
      cd \(folder)
      sbatch --quiet --job-name=stopped --output=log --nodes=2 --ntasks-per-node=1 --cpus-per-task=1 "\(job)" train c.yaml \
        --set "run.dir=\(folder)/run" --set training.epochs=100000 --set training.patience=0 \
        --set run.patience_seconds=2 || exit 1
      waited=0
      await() { until eval "$1"; do waited=$((waited + 1)); [ "$waited" -lt 600 ] || break; sleep 0.1; done; }
      await '[ -e run/checkpoints/last.h5 ]'
      pkill -STOP -x ala
      await 'grep -q "kill -CONT" log'
      pkill -CONT -x ala
      scancel --batch --signal=TERM --name=stopped
      await '[ -z "$(squeue --noheader)" ]'
      scontrol --oneliner show job
      """,
    ], environment: ["ALA": bench.program], seconds: 90)
  let log = try String(contentsOfFile: "\(folder)/log", encoding: .utf8)
  #expect(log.contains(" by srun\n") && log.contains("every rank on this machine has been stopped for"), "\(log)")
  #expect(log.contains(/kill -CONT \d+ \d+,/), "\(log)")
  #expect(record("stopped", in: result.output)["ExitCode"] == "75:0", "\(result)\n\(log)")
}

@Test func aLaunchScriptForSlurmThatIsStartedByHandSaysHowItIsSubmitted() throws {
  let result = try run("/bin/sh", [job, "train", "c.yaml"], environment: ["SLURM_JOB_ID": ""])
  #expect(result.code == 64)
  #expect(result.errors.hasPrefix("usage: sbatch "))
}
