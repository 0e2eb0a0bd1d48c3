import Foundation
import TestSupport
import Testing

/// Memory that cannot be had: a sentence and code 69, never a hang, a trap or a trace.

private func limited(_ kibibytes: Int, _ command: String, in folder: String) throws -> ProcessResult {
  try run(
    "/bin/bash", ["-c", "ulimit -v \(kibibytes); exec \"$ala\" \(command)"], in: folder,
    environment: ["ala": builtProgram("ala")], seconds: 20)
}

@Test func aLimitOnTheAddressSpaceIsNamedWhereItIsTooLow() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
  let commands = [
    "train --config c.yaml --threads 2 --stop-after-steps 1 --set run.dir=", "doctor --threads 2 --dir . #",
    "evaluate --config c.yaml --threads 2 --limit 3 --set evaluation.steps=0 --checkpoint run/checkpoints/last.h5 --out e",
    "bench encode --threads 2 --steps 1 --repeats 1 --batch 2 #",
  ]
  var codes: Set<Int32> = []
  // From where the libraries can just be loaded to where everything fits.
  for kibibytes in [230_000, 300_000, 455_000, 475_000, 1_500_000] {
    for command in commands {
      let result = try limited(kibibytes, "\(command)\(kibibytes)", in: bench.folder.path)
      codes.insert(result.code)
      #expect(result.code == 0 || result.code == 69, "\(kibibytes) \(command): \(result.code) \(result.errors)")
      guard result.code == 69 else { continue }
      #expect(
        result.errors.contains("limit") || result.errors.contains("Cannot allocate memory"),
        "\(kibibytes) \(command): \(result.errors)")
      // Where the program itself has all it needs.
      guard kibibytes == 300_000 else { continue }
      #expect(result.errors.contains("OpenBLAS cannot get its working memory, 256 MiB"), "\(command): \(result.errors)")
    }
  }
  #expect(codes == [0, 69])
}

@Test func weightsAreTheSameUnderALimit() throws {
  let bench = try TrainingBench()
  #expect(try bench.ala("train", run: "free").code == 0)
  let result = try limited(900_000, "train --config c.yaml --threads 2 --set run.dir=bound", in: bench.folder.path)
  #expect(result.code == 0, "\(result.errors)")
  #expect(try bench.digest("bound") == bench.digest("free"))
}

/// Whether control groups of version 1 can be made here, which only root may do.
private func withControlGroup(_ mebibytes: Int, _ body: (_ processes: String) throws -> Void) throws {
  let folder = "/sys/fs/cgroup/memory/ala-test-\(getpid())"
  guard FileManager.default.fileExists(atPath: "/sys/fs/cgroup/memory/memory.limit_in_bytes"), mkdir(folder, 0o755) == 0
  else {
    print("skipped: no control group of memory can be made here")
    return
  }
  defer { rmdir(folder) }
  try Data("\(mebibytes)M".utf8).write(to: URL(fileURLWithPath: "\(folder)/memory.limit_in_bytes"))
  try body("\(folder)/cgroup.procs")
}

@Test func aControlGroupThatIsTooSmallIsNamedInsteadOfAKill() throws {
  let bench = try TrainingBench()
  // Such a side branch has 200 MiB of weights, and three times as much of gradients and moments.
  let command = "train --config c.yaml --threads 1 --stop-after-steps 1 --set side.width=3000"
  try withControlGroup(300) { processes in
    let result = try run(
      "/bin/bash", ["-c", "echo $$ > \(processes); exec \"$ala\" \(command) --set run.dir=wide"], in: bench.folder.path,
      environment: ["ala": builtProgram("ala")], seconds: 60)
    #expect(result.code == 69 && result.errors.contains("the control group is limited to 300 MiB"), "\(result.errors)")
    let fits = try run(
      "/bin/bash", ["-c", "echo $$ > \(processes); exec \"$ala\" train --config c.yaml --set run.dir=narrow"],
      in: bench.folder.path, environment: ["ala": builtProgram("ala")], seconds: 60)
    #expect(fits.code == 0, "\(fits.errors)")
  }
}
