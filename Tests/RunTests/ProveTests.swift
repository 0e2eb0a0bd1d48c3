import Foundation
import Storage
import TestSupport
import Testing

/// `ala prove` as a user runs it.

private func prove(
  _ bench: TrainingBench, _ arguments: [String], environment: [String: String] = [:]
) throws -> ProcessResult {
  let temporary = "\(bench.folder.path)/tmp"
  try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
  let result = try run(
    bench.program, ["prove", "--config", "\(bench.folder.path)/c.yaml"] + arguments,
    environment: environment.merging(["TMPDIR": temporary]) { $1 })
  #expect(try FileManager.default.contentsOfDirectory(atPath: temporary).isEmpty, "it leaves files")
  return result
}

@Test func theProofHoldsAndTouchesNeitherRunNorCache() throws {
  let bench = try TrainingBench(lanes: 4, cache: "yes")
  let before = try FileManager.default.contentsOfDirectory(atPath: bench.folder.path)
  let result = try prove(bench, ["--ranks", "1,2,3", "--steps", "7", "--json"])
  #expect(result.code == 0, "\(result.errors)")
  let object = try JSONSerialization.jsonObject(with: Data(result.output.utf8)) as? [String: Any] ?? [:]
  #expect(object["holds"] as? Bool == true && object["steps"] as? Int == 7)
  let trials = object["trials"] as? [[String: Any]] ?? []
  let digests = { (promise: String) in
    Set(trials.filter { $0["promise"] as? String == promise }.compactMap { $0["model_sha256"] as? String })
  }
  #expect(digests("bits").count == 1 && digests("rounding").count == 1 && digests("bits") != digests("rounding"))
  #expect(trials.contains { $0["cached"] as? Bool == true && $0["ranks"] as? [Int] == [2] })
  let killed = trials.first { $0["interruption"] as? String == "killed" }
  #expect((0..<7).contains(killed?["interrupted_at_step"] as? Int ?? -1))
  #expect(
    trials.contains { $0["threads"] as? Int == 2 } && trials.contains { $0["interruption"] as? String == "stopped" })
  let after = try FileManager.default.contentsOfDirectory(atPath: bench.folder.path)
  #expect(Set(after) == Set(before + ["tmp"]))
}

@Test func whatAKilledProofHasLeftIsRemovedByTheNext() throws {
  let bench = try TrainingBench(lanes: 4)
  let temporary = "\(bench.folder.path)/tmp"
  let left = ["ala-prove-1-2", "ala-prove-3-4", "ala-prove-5-6"].map { "\(temporary)/\($0)" }
  for folder in left { try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true) }
  // One that was killed, one that goes on, and one that is none.
  for folder in left[..<2] {
    try RunOwner.current().text.write(toFile: "\(folder)/.lock", atomically: true, encoding: .utf8)
  }
  let held = open("\(left[1])/.lock", O_RDWR | O_CLOEXEC)
  defer { close(held) }
  #expect(FileLock.attempt(held) == .held)
  let result = try run(
    bench.program, ["prove", "--config", "\(bench.folder.path)/c.yaml", "--ranks", "1", "--steps", "2"],
    environment: ["TMPDIR": temporary, "ALA_MPIRUN": "/bin/false"])
  #expect(result.code != 70, "\(result.errors)")
  #expect(left.map { FileManager.default.fileExists(atPath: $0) } == [false, true, true], "\(result.errors)")
}

@Test func aRunThatEndsInOtherBitsIsNamedWithCode70() throws {
  let bench = try TrainingBench(lanes: 4)
  // A launcher that lets its first run learn faster.
  let launcher = "\(bench.folder.path)/launcher"
  try """
  #!/bin/sh
  [ -e "$0.used" ] || set -- "$@" --set training.lr=0.002
  touch "$0.used"
  exec mpirun "$@"
  """.write(toFile: launcher, atomically: true, encoding: .utf8)
  chmod(launcher, 0o755)
  let result = try prove(bench, ["--ranks", "1,2", "--steps", "4"], environment: ["ALA_MPIRUN": launcher])
  #expect(result.code == 70, "\(result.errors)")
  #expect(result.errors.contains("broken: 1 of 7 runs end otherwise than promised: 2 ranks x 1 thread, live"))
  #expect(result.output.contains("NOT the same bits") && result.output.contains("the same bits\n"), "\(result.output)")
}

@Test func aProofThatCannotBeMadeSaysWhy() throws {
  let bench = try TrainingBench(lanes: 4)
  let without = try prove(bench, [], environment: ["PATH": "\(bench.folder.path)"])
  #expect(without.code == 69 && without.errors.contains("--ranks 1"), "\(without.errors)")
  let absent = try prove(bench, ["--ranks", "2"], environment: ["ALA_MPIRUN": "no-such-mpirun -x A"])
  #expect(absent.code == 69 && absent.errors.contains("no-such-mpirun"), "\(absent.errors)")
  let data = try prove(bench, ["--ranks", "1", "--set", "encoder.weights=\(bench.folder.path)/none"])
  #expect(
    data.code == 66 && data.errors.contains("1 rank x 1 thread, live: \(bench.folder.path)/none"), "\(data.errors)")
  for list in ["1,1", "0", "1,,2", "two"] {
    #expect(try prove(bench, ["--ranks", list]).code == 64, "--ranks \(list)")
  }
  let inside = try mpirun(ranks: 2, bench.program, ["prove", "--config", "\(bench.folder.path)/c.yaml"])
  #expect(inside.code == 64 && inside.errors.contains("start it alone"), "\(inside.errors)")
}
