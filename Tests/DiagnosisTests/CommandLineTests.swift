import Foundation
import TestSupport
import Testing

/// What the program says of itself.

@Test func everyCommandsHelpShowsAnExampleOfIt() throws {
  let program = builtProgram("ala")
  let overview = try run(program, ["--help"])
  let list = overview.output.components(separatedBy: "SUBCOMMANDS:\n").last ?? ""
  let commands = list.split(separator: "\n").compactMap { line in
    line.hasPrefix("  ") && !line.hasPrefix("   ") ? line.split(separator: " ").first.map(String.init) : nil
  }.filter { $0 != "See" }
  #expect(commands.count >= 10 && commands.contains("doctor"))
  for command in commands {
    let help = try run(program, [command, "--help"])
    #expect(help.code == 0 && help.output.contains("Example") && help.output.contains("ala \(command) "), "\(command)")
  }
}

@Test func theVersionNamesEveryLibrary() throws {
  let result = try run(builtProgram("ala"), ["--version"])
  #expect(result.code == 0)
  let words = result.output.split(separator: "\n").map { $0.split(separator: " ") }
  #expect(words.map { $0.first.map(String.init) } == ["ala", "Swift", "MPI", "BLAS", "HDF5"])
  #expect(words.allSatisfy { $0.count > 1 && $0.contains { word in word.contains { $0.isNumber } } })
}

@Test func benchSaysThatTheKernelIsForced() throws {
  let work = ["encode", "--threads", "1", "--batch", "1", "--steps", "1", "--repeats", "1"]
  let unset = ["-u", "OPENBLAS_CORETYPE", "-u", "OPENBLAS_L2_SIZE"]
  let program = builtProgram("ala")
  let forced = try run("/usr/bin/env", unset + ["OPENBLAS_CORETYPE=Haswell", program, "bench"] + work)
  #expect(forced.output.contains("BLAS kernel Haswell (AVX2), forced by OPENBLAS_CORETYPE=Haswell"), "\(forced.output)")
  let free = try run("/usr/bin/env", unset + [program, "bench"] + work + ["--json"])
  #expect(free.output.contains("\"blas_forced\":false"), "\(free.output)\(free.errors)")
}
