import Commands
import Foundation

/// Runs `ala`'s commands one after the other in one process, for `scripts/torture --server`, which so tries many files
/// in the time that one start takes.
///
/// Each line of standard input is a JSON array of a command's arguments; each is answered on standard output by a line
/// with its exit code. What commands print themselves is dropped; their words go to standard error.

let own = Array(CommandLine.arguments.dropFirst())
// The child that a command starts to look into a foreign HDF5 file.
if !own.isEmpty { exit(Program.main(own, commit: "")) }

let replies = FileHandle(fileDescriptor: dup(STDOUT_FILENO), closeOnDealloc: true)
dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO)
// The program may start itself again for another BLAS kernel: before a line is read.
_ = Program.main(["--version"], commit: "")
while let line = readLine() {
  let arguments = try JSONDecoder().decode([String].self, from: Data(line.utf8))
  let code = Program.main(arguments, commit: "")
  try replies.write(contentsOf: Data("\(code)\n".utf8))
}
