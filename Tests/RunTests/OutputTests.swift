import Foundation
import Storage
import TestSupport
import Testing

/// Streams that cannot be written: notes are lost, results are an error, a run goes on.

/// The program under bash, which sets up its streams and limits; `$ala` is the program.
private func shell(_ script: String, in folder: String = repositoryRoot) throws -> ProcessResult {
  try run("/bin/bash", ["-c", script], in: folder, environment: ["ala": builtProgram("ala")], seconds: 60)
}

@Test func aRunWhoseStandardErrorCannotBeWrittenEndsInTheSameWeights() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "usual").code == 0)
  for (name, streams) in [
    ("full", "2>/dev/full"), ("closed", "2>&-"), ("unread", "2> >(true)"), ("none", "<&- >&- 2>&-"),
  ] {
    let result = try shell(
      "exec \"$ala\" train --config c.yaml --threads 1 --set run.dir=\(name) \(streams)", in: bench.folder.path)
    #expect(result.code == 0, "\(name): \(result.code)")
    #expect(try bench.digest(name) == bench.digest("usual"), "\(name)")
    // The line of the step stands in the log's file all the same.
    let log = try String(contentsOfFile: "\(bench.folder.path)/\(name)/log.txt", encoding: .utf8)
    #expect(log.contains("finished: "), "\(name)")
  }
}

@Test func anErrorKeepsItsCodeWhereItCannotBeTold() throws {
  for streams in ["2>/dev/full", "2>&-", "2> >(true)"] {
    #expect(try shell("exec \"$ala\" inspect /none \(streams)").code == 66, "\(streams)")
    #expect(try shell("exec \"$ala\" nothing \(streams)").code == 64, "\(streams)")
  }
}

@Test func aLostResultOnStandardOutputIsCode73() throws {
  let folder = try TemporaryFolder()
  #expect(try shell("\"$ala\" synth --out data --classes 2 --images-per-class 2 --size 32", in: folder.path).code == 0)
  let bench = "bench encode --threads 1 --batch 1 --steps 1 --repeats 1"
  for command in ["--version", "--help", "train --dry-run", "inspect data/encoder.safetensors", bench, "doctor --json"]
  {
    for streams in command.hasPrefix("--") ? [">/dev/full", ">&-"] : [">/dev/full"] {
      let result = try shell("exec \"$ala\" \(command) \(streams)", in: folder.path)
      #expect(
        result.code == 73 && result.errors.contains("standard output: cannot be written: "), "\(command) \(streams)")
    }
  }
  let unread = try shell("(sleep 0.3; exec \"$ala\" --version) | true; exit ${PIPESTATUS[0]}")
  #expect(unread.code == 73 && unread.errors.contains("Broken pipe"), "\(unread.code) \(unread.errors)")
}

@Test func filesThatAreWrittenCountMoreThanALineAboutThem() throws {
  let folder = try TemporaryFolder()
  let result = try shell(
    "exec \"$ala\" synth --out data --classes 2 --images-per-class 2 --size 32 >/dev/full", in: folder.path)
  #expect(result.code == 0 && result.errors.contains("warning: standard output: cannot be written"), "\(result.errors)")
}

@Test func settingsComeFromAPipeAsFromAFile() throws {
  let bench = try TrainingBench()
  let folder = bench.folder.path
  func told(_ script: String) throws -> ProcessResult { try shell("exec \"$ala\" \(script)", in: folder) }
  let piped = try told("config --config <(sed s/1.0e-3/2.0e-3/ c.yaml)")
  #expect(piped.code == 0 && piped.output.contains("  lr: 0.002  # /dev/fd/"), "\(piped.errors)")
  #expect(try told("config --config /dev/stdin <c.yaml").output.contains("  lr: 0.001  # /dev/stdin:"))
  // A pipe lies nowhere: what it extends is found from here.
  let extending = try told("config --config <(echo 'extends: c.yaml'; echo 'run: {seed: 7}')")
  #expect(extending.output.contains("  lr: 0.001  # c.yaml:") || extending.output.contains("c.yaml:9, by extends"))
  #expect(extending.output.contains("  seed: 7  # /dev/fd/"), "\(extending.output)\(extending.errors)")
  // The program starts itself again before it reads them, where nobody has chosen a kernel.
  let trained = try told(
    "train --config <(env -u OPENBLAS_CORETYPE cat c.yaml) --threads 1 --stop-after-steps 1 --set run.dir=piped")
  #expect(trained.code == 0, "\(trained.errors)")
  #expect(try told("config --config /dev/null").code == 0)
  for (file, words) in [
    ("<(true)", "is a pipe that gave nothing"), (".", "is a folder; expected settings"),
    ("/dev/zero", "has more than 1048576 bytes"), ("<(printf '\\377')", "is not UTF-8"),
    ("data/encoder.safetensors", "is not UTF-8"),
  ] {
    let result = try told("config --config \(file)")
    #expect(result.code == 78 && result.errors.contains(words), "\(file): \(result.errors)")
  }
  // Ranks have one pipe between them, or none.
  try #require(mkfifo("\(folder)/pipe", 0o644) == 0)
  let shared = try mpirun(ranks: 2, bench.program, ["train", "--config", "\(folder)/pipe"], seconds: 60)
  #expect(shared.code == 78 && shared.errors.contains("and there are 2 ranks"), "\(shared.errors)")
  let closed = try mpirun(ranks: 2, bench.program, ["train", "--config", "/dev/fd/63"], seconds: 60)
  #expect(closed.code == 66 && closed.errors.contains("mpirun hands no pipe on"), "\(closed.errors)")
}

@Test func aLostSummaryOfAnImportOrAnEvaluationIsCode73AndALostNoteOneWarning() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "run", ["--set", "training.epochs=1"]).code == 0)
  for command in ["import data/images --out imported", "evaluate --checkpoint run --out e --set evaluation.steps=0"] {
    for streams in [">/dev/full", ">&-"] {
      let lost = try shell("exec \"$ala\" \(command) --json \(streams)", in: bench.folder.path)
      #expect(lost.code == 73, "\(command) \(streams): \(lost.code)")
      #expect(lost.errors.components(separatedBy: "standard output: cannot be written: ").count == 2, "\(lost.errors)")
      let note = try shell("exec \"$ala\" \(command) \(streams)", in: bench.folder.path)
      #expect(note.code == 0, "\(command) \(streams): \(note.errors)")
      #expect(note.errors.components(separatedBy: "standard output: cannot be written: ").count == 2, "\(note.errors)")
    }
  }
  let script =
    "cd '\(bench.folder.path)' && exec '\(bench.program)' evaluate --checkpoint run --out e --set evaluation.steps=0 "
    + "--json >/dev/full"
  let ranks = try mpirun(ranks: 2, "/bin/sh", ["-c", script])
  #expect(ranks.code == 73, "\(ranks.code) \(ranks.errors)")
}

@Test func aFileSizeLimitIsAnErrorOfTheWrite() throws {
  let bench = try TrainingBench()
  let result = try shell("ulimit -f 200; exec \"$ala\" train --config c.yaml --set run.dir=r", in: bench.folder.path)
  #expect(result.code == 73 && result.errors.contains("File too large"), "\(result.code) \(result.errors)")
}

@Test func hangingUpEndsInACheckpointUnlessItWasIgnoredAtTheStart() throws {
  let bench = try TrainingBench()
  let long = "\"$ala\" train --config c.yaml --threads 1 --set training.epochs=400 --set checkpoint.every_epochs=1000"
  // Until there is a step, so that the signal meets a run.
  func hangUp(_ name: String) -> String {
    "until grep -q '\"step\":2,' \(name)/metrics.jsonl 2>/dev/null; do sleep 0.05; done; kill -HUP $!"
  }
  let usual = try shell("\(long) --set run.dir=usual & \(hangUp("usual")); wait $!", in: bench.folder.path)
  #expect(usual.code == 75, "\(usual.code) \(usual.errors)")
  let kept = try shell(
    "trap '' HUP; \(long) --set run.dir=kept & \(hangUp("kept")); sleep 0.5; kill -0 $! && kill -USR1 $!; wait $!",
    in: bench.folder.path)
  let steps = try bench.metrics("kept").compactMap { $0["step"] as? Int }.max() ?? 0
  #expect(kept.code == 75 && steps > 3, "\(kept.code) \(steps) \(kept.errors)")
}
