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

/// Many files in one process, which lives on.
@Test(.enabled(if: hasPython, "python3 3.9 or later is not there")) func manyMutatedFilesEndInAnAnswerOrASentence()
  throws
{
  let readers = ["safetensors", "yaml", "checkpoint", "summary", "cub", "image alpha"]
  let result = try run(
    "\(repositoryRoot)/scripts/torture",
    ["--seed", "4", "--mutations", "40", "--server", builtProgram("CommandServer")]
      + readers.flatMap { ["--reader", $0] } + ["fuzz"], environment: ["ALA": builtProgram("ala")])
  #expect(result.code == 0, "\(result.output) \(result.errors)")
  let lines = result.output.split(separator: "\n").filter { $0.hasPrefix("fuzz ") && $0.hasSuffix(": kept") }
  // Some files are still sound.
  #expect(lines.count == 10 && lines.contains { $0.contains("40 mutations, codes {0: ") }, "\(result.output)")
}

@Test(.enabled(if: hasPython, "python3 3.9 or later is not there")) func tortureNoticesAServerThatAFileEnds() throws {
  let folder = try TemporaryFolder()
  let server = "\(folder.path)/server"
  try "#!/bin/sh\nread -r line; echo 65; echo 'ala: error: x' >&2; read -r line; kill -SEGV $$\n".write(
    toFile: server, atomically: true, encoding: .utf8)
  chmod(server, 0o755)
  let result = try run(
    "\(repositoryRoot)/scripts/torture",
    ["--seed", "4", "--mutations", "8", "--server", server, "--reader", "yaml", "fuzz"],
    environment: ["ALA": builtProgram("ala"), "TMPDIR": folder.path])
  #expect(result.code == 1 && result.output.contains("BROKEN: mutation "), "\(result.output) \(result.errors)")
  #expect(result.output.contains("ended with -11"), "\(result.output)")
}

@Test(.enabled(if: hasPython, "python3 3.9 or later is not there")) func tortureNoticesWhatASanitizerHasLeftInAFile()
  throws
{
  let folder = try TemporaryFolder()
  let server = "\(folder.path)/server"
  // All that a file does to it is a sentence.
  try """
  #!/bin/sh
  while read -r line; do
    echo '==1==ERROR: AddressSanitizer: heap-buffer-overflow' >"${ASAN_OPTIONS##*log_path=}.$$"
    echo 'ala: error: x' >&2
    echo 65
  done
  """.write(toFile: server, atomically: true, encoding: .utf8)
  chmod(server, 0o755)
  let fuzz = ["--seed", "4", "--mutations", "4", "--reader", "yaml", "fuzz", "--server", server]
  let environment = ["ALA": builtProgram("ala"), "TMPDIR": folder.path]
  let result = try run("\(repositoryRoot)/scripts/torture", fuzz + ["--sanitized"], environment: environment)
  #expect(result.code == 1 && result.output.contains("BROKEN: the sanitizer's words"), "\(result.output)")
  #expect(result.output.contains("ERROR: AddressSanitizer: heap-buffer-overflow"), "\(result.output)")
}
