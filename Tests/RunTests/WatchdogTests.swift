import Foundation
import Synchronization
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

/// The same of the `mpirun` that a launch script has started.
private func ranks(ofLaunchScript script: Int32, inRun folder: String) -> [Int32] {
  var mpirun: Int32?
  for _ in 0..<600 where mpirun == nil {
    usleep(50_000)
    let found = try? run("/usr/bin/pgrep", ["-P", "\(script)", "mpirun"])
    mpirun = found.flatMap { Int32($0.output.trimmingCharacters(in: .whitespacesAndNewlines)) }
  }
  return mpirun.map { ranks(of: $0, inRun: folder) } ?? []
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

@Test(arguments: [0, 1, 3]) func aRankThatIsStoppedBeforeRanksHaveMetIsNamedByOneOfTheOthers(stopped: Int) throws {
  let bench = try TrainingBench(lanes: 4, extra: "run: {patience_seconds: 1}")
  let result = try bench.ala("train", ranks: 4, run: "start") { mpirun in
    // As soon as the rank is there, long before MPI has begun.
    for _ in 0..<2_000 {
      let found = (try? run("/usr/bin/pgrep", ["-P", "\(mpirun)"]))?.output.split(separator: "\n") ?? []
      let rank = found.compactMap { Int32($0) }.first {
        let environment = (try? String(contentsOfFile: "/proc/\($0)/environ", encoding: .utf8)) ?? ""
        return environment.contains("OMPI_COMM_WORLD_RANK=\(stopped)\0") && environment.contains("ala")
      }
      if let rank {
        kill(rank, SIGSTOP)
        break
      }
    }
  }
  let lines = result.errors.split(separator: "\n").filter { $0.hasPrefix("ala: error: ") }
  #expect(result.code == 69 && lines.count == 1, "\(result.code) \(result.errors)")
  #expect(lines.first?.contains("rank \(stopped) on ") == true, "\(lines)")
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

/// Records the datagrams of this machine's loopback, and tells those of before again and again until it is gone.
private final class Parrot: Sendable {
  private let ear: Int32
  private let mouth: Int32
  private let isOver = Atomic(false)
  private let isTelling = Atomic(false)

  /// nil where packets may not be listened to.
  init?() {
    // ETH_P_ALL
    ear = socket(AF_PACKET, Int32(SOCK_DGRAM.rawValue), Int32(UInt16(3).bigEndian))
    mouth = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    guard ear >= 0, mouth >= 0 else { return nil }
    Thread { self.run() }.start()
  }

  func tell() { isTelling.store(true, ordering: .relaxed) }
  func end() { isOver.store(true, ordering: .relaxed) }

  private func run() {
    var heard: [(port: UInt16, bytes: [UInt8])] = []
    while !isOver.load(ordering: .relaxed) {
      guard isTelling.load(ordering: .relaxed) else {
        if let datagram = listen() { heard = heard.suffix(400) + [datagram] }
        continue
      }
      for (port, bytes) in heard {
        var address = sockaddr_in()
        (address.sin_family, address.sin_port, address.sin_addr.s_addr) = (
          sa_family_t(AF_INET), port, UInt32(0x7F00_0001).bigEndian
        )
        _ = withUnsafePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            sendto(mouth, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
          }
        }
        usleep(1000)
      }
    }
    close(ear)
    close(mouth)
  }

  /// What goes over UDP, of IPv4 or IPv6, with the port that it goes to, in network byte order.
  private func listen() -> (port: UInt16, bytes: [UInt8])? {
    var waiting = pollfd(fd: ear, events: Int16(POLLIN), revents: 0)
    guard poll(&waiting, 1, 20) > 0 else { return nil }
    var packet = [UInt8](repeating: 0, count: 4096)
    let count = recv(ear, &packet, packet.count, Int32(MSG_DONTWAIT))
    guard count > 48 else { return nil }
    let isIPv4 = packet[0] >> 4 == 4
    let start = isIPv4 ? Int(packet[0] & 15) * 4 : 40
    guard packet[isIPv4 ? 9 : 6] == 17, (60...128).contains(count - start - 8) else { return nil }
    return (UInt16(packet[start + 3]) << 8 | UInt16(packet[start + 2]), Array(packet[(start + 8)..<count]))
  }
}

@Test func aStoppedRankIsNamedWhoeverTellsItsHeartbeatsAgain() throws {
  guard let parrot = Parrot() else { return print("skipped: packets may not be listened to here") }
  defer { parrot.end() }
  let bench = try TrainingBench(lanes: 4)
  let result = try bench.ala("train", ranks: 2, run: "told", endless) { mpirun in
    let ranks = ranks(of: mpirun, inRun: "\(bench.folder.path)/told")
    usleep(1_500_000)
    if ranks.count == 2 { kill(ranks[1], SIGSTOP) }
    parrot.tell()
    // What goes on for ever otherwise.
    DispatchQueue.global().asyncAfter(deadline: .now() + 25) { kill(mpirun, SIGKILL) }
  }
  #expect(result.code == 69 && result.errors.contains("rank 1 on "), "\(result.errors)")
  #expect(result.errors.contains("has not answered for"), "\(result.errors)")
}

@Test func ranksThatAreAllStoppedAreToldOfByTheLaunchScriptAndGoOnWithTheSameBits() throws {
  let bench = try TrainingBench(lanes: 4)
  let folder = bench.folder.path
  let (script, told) = ("\(repositoryRoot)/launch/local", "\(folder)/told")
  let steps = endless + ["--stop-after-steps", "300"]
  let words = "every rank on this machine has been stopped for"
  var isTold = false
  let result = try run(
    "/bin/sh",
    ["-c", "exec \"$0\" \"$@\" 2>'\(told)'", script, "train", "\(folder)/c.yaml", "2"] + steps
      + ["--set", "run.dir=\(folder)/stopped", "--threads", "1"],
    environment: ["ALA": bench.program], seconds: 90
  ) { script in
    let found = ranks(ofLaunchScript: script, inRun: "\(folder)/stopped")
    for rank in found { kill(rank, SIGSTOP) }
    for _ in 0..<300 where !isTold {
      usleep(50_000)
      isTold = ((try? String(contentsOfFile: told, encoding: .utf8)) ?? "").contains(words)
    }
    for rank in found { kill(rank, SIGCONT) }
  }
  let errors = try String(contentsOfFile: told, encoding: .utf8)
  #expect(isTold && result.code == 0, "\(result.code) \(errors)")
  #expect(errors.components(separatedBy: words).count == 2 && errors.contains("kill -CONT "), "\(errors)")
  #expect(try bench.ala("train", run: "alone", steps).code == 0)
  #expect(try bench.digest("stopped") == bench.digest("alone"))
}

@Test func aStoppedMpirunIsToldOfByTheLaunchScript() throws {
  let bench = try TrainingBench(lanes: 4)
  let folder = bench.folder.path
  let told = "\(folder)/told"
  let result = try run(
    "/bin/sh",
    ["-c", "exec \"$0\" \"$@\" 2>'\(told)'", "\(repositoryRoot)/launch/local", "train", "\(folder)/c.yaml", "2"]
      + endless + ["--set", "run.dir=\(folder)/stopped", "--threads", "1"],
    environment: ["ALA": bench.program], seconds: 90
  ) { script in
    _ = ranks(ofLaunchScript: script, inRun: "\(folder)/stopped")
    _ = try? run("/usr/bin/pkill", ["-STOP", "-P", "\(script)", "mpirun"])
    for _ in 0..<300 where !((try? String(contentsOfFile: told, encoding: .utf8)) ?? "").contains("kill -CONT") {
      usleep(50_000)
    }
    _ = try? run("/usr/bin/pkill", ["-CONT", "-P", "\(script)", "mpirun"])
    kill(script, SIGTERM)
  }
  let errors = try String(contentsOfFile: told, encoding: .utf8)
  #expect(result.code == 75 && errors.contains(/mpirun has been stopped for \d+ s, .* kill -CONT \d+,/), "\(errors)")
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
    let found = ranks(ofLaunchScript: script, inRun: "\(folder)/deaf")
    if found.count == 2 { kill(found[1], SIGSTOP) }
    kill(script, SIGTERM)
    usleep(3_200_000)
    kill(script, SIGTERM)
    since = Date()
  }
  #expect(result.code == 128 + SIGTERM && result.errors.contains("a second signal"), "\(result.errors)")
  #expect(Date().timeIntervalSince(since) < 20)
}
