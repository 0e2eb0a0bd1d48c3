import Foundation
import TestSupport
import Testing

/// `scripts/torture` in a light form: one trial of each kind, a few mutations of every reader's files.

private let hasPython =
  (try? run("/usr/bin/env", ["python3", "-c", "import os; os.waitstatus_to_exitcode(0)"]))?.code == 0

@Test(.enabled(if: hasPython, "python3 3.9 or later is not there")) func whatIsPromisedHoldsUnderTortureOfEveryKind()
  throws
{
  let result = try run(
    "\(repositoryRoot)/scripts/torture", ["--seed", "1", "--trials", "1", "--mutations", "6", "--steps", "400"],
    environment: ["ALA": builtProgram("ala")])
  #expect(result.code == 0, "\(result.output) \(result.errors)")
  let lines = result.output.split(separator: "\n")
  for kind in ["train", "cache", "evaluate", "disk", "shm", "folder", "fuzz", "steps"] {
    #expect(
      lines.contains { $0.hasPrefix("\(kind) ") && ($0.hasSuffix(": kept") || $0.contains("skipped")) }, "\(kind)")
  }
}

@Test(.enabled(if: hasPython, "python3 3.9 or later is not there")) func tortureNoticesAProgramThatBreaksItsPromises()
  throws
{
  let folder = try TemporaryFolder()
  // Under mpirun it learns something else.
  let program = "\(folder.path)/ala"
  try """
  #!/bin/sh
  [ "$1" != train ] || [ -z "$OMPI_COMM_WORLD_SIZE" ] || set -- "$@" --set run.seed=7 --resume never
  exec \(builtProgram("ala")) "$@"
  """.write(toFile: program, atomically: true, encoding: .utf8)
  chmod(program, 0o755)
  let result = try run(
    "\(repositoryRoot)/scripts/torture", ["--seed", "2", "--trials", "2", "train"], environment: ["ALA": program])
  #expect(result.code == 1 && result.output.contains("BROKEN: other weights"), "\(result.output) \(result.errors)")
}
