import Foundation
import Machine
import TestSupport
import Testing

/// Programs that are started and waited for: nothing of them outlives the call, and what they write has a limit.

/// A script, in which `idle` stands for a process that does nothing for long; whether one of these is still there.
private func run(
  _ script: String, seconds: Double = 60, mostOutput: Int = 1 << 20, isWanted: (Int32) -> Bool = { _ in true }
) throws -> (child: ChildProcess, isLeftBehind: Bool) {
  let mark = "\(UInt32.random(in: 100_000 ... .max))"
  let child = ChildProcess.run(
    "/bin/sh", ["-c", script.replacing("idle", with: "sleep \(mark)")], seconds: seconds, mostOutput: mostOutput,
    isWanted: isWanted)
  let found = try TestSupport.run("/usr/bin/pgrep", ["-f", "^sleep \(mark)$"])
  return (child, found.code == 0)
}

@Test func whatAProgramHasStartedEndsWithItHoweverItEnds() throws {
  let late = try run("idle & idle; echo done", seconds: 0.3)
  #expect(late.child.ending == .ranOutOfTime && !late.isLeftBehind)
  let unwanted = try run("(idle; :) & (idle; :); :") { _ in false }
  #expect(unwanted.child.ending == .stopped && !unwanted.isLeftBehind)
  let own = try run("idle & echo said; exit 3")
  #expect(own.child.ending == .exited(3) && own.child.output == Data("said\n".utf8) && !own.isLeftBehind)
  let killed = try run("idle & kill -9 $$")
  #expect(killed.child.ending == .died(SIGKILL) && !killed.isLeftBehind)
  let deaf = try run("trap '' TERM; idle & while :; do sleep 0.1; done", seconds: 0.3)
  #expect(deaf.child.ending == .ranOutOfTime && !deaf.isLeftBehind)
}

@Test func outputBeyondItsLimitEndsAProgramAndOfErrorsTheEndIsKept() throws {
  let endless = try run("idle & yes", mostOutput: 100_000)
  #expect(endless.child.ending == .wroteTooMuch && !endless.isLeftBehind)
  #expect(endless.child.output.count == 100_001)
  #expect(try run("yes | head -c 100001", mostOutput: 100_000).child.ending == .wroteTooMuch)
  let whole = try run("yes | head -c 100000", mostOutput: 100_000).child
  #expect(whole.ending == .exited(0) && whole.output.count == 100_000)
  let wordy = try run("seq 1 100000 >&2").child
  #expect(wordy.ending == .exited(0) && wordy.errors.hasSuffix("\n99999\n100000\n") && wordy.errors.count <= 64 << 10)
}

@Test func aProgramGetsNoInputAndNoneOfTheseSignalsOrFiles() throws {
  #expect(try run("cat; trap 'echo heard; exit' TERM; kill -TERM $$").child.output == Data("heard\n".utf8))
  // A file that children inherit, as libraries open them.
  let file = open("/dev/zero", O_RDONLY)
  defer { close(file) }
  let seen = String(decoding: try run("ls -l /proc/self/fd").child.output, as: UTF8.self)
  #expect(seen.contains("/dev/null") && !seen.contains("/dev/zero"), "\(seen)")
  #expect(ChildProcess.run("/no/such/program", [], seconds: 1).ending == .didNotStart)
}
