import Foundation
import Storage
import TestSupport
import Testing

/// Several hosts, which are namespaces of this machine (Tests/Hosts/with-hosts): `launch/hosts` or `mpirun` starts ranks
/// on them through a remote agent.

private let withHosts = "\(repositoryRoot)/Tests/Hosts/with-hosts"

/// Why there can be no hosts here; nil where there can.
private let obstacle: String? = {
  guard let folder = try? TemporaryFolder() else { return "no temporary folder" }
  let tried = try? run("/usr/bin/unshare", ["-n", "-m", withHosts, "1", folder.path, "true"], seconds: 30)
  return tried?.code == 0 ? nil : "namespaces and their networks cannot be made here: \(tried?.errors ?? "no unshare")"
}()

private let bridge = "172.17.0.1/16"
private let allowed = ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"]

private struct Hosts {
  let bench: TrainingBench
  let count: Int
  var root: String { bench.folder.path }

  init(_ count: Int) throws {
    bench = try TrainingBench(lanes: 4, extra: "run: {patience_seconds: 2}\ncheckpoint: {every_minutes: 0.002}")
    self.count = count
    // A host sees nothing else of what may lie in /tmp.
    try FileManager.default.copyItem(atPath: bench.program, toPath: "\(bench.folder.path)/ala")
  }

  /// Runs a command beside the hosts.
  func run(
    _ command: [String], _ environment: [String: String] = [:], whileRunning: ((Int32) -> Void)? = nil
  ) throws -> ProcessResult {
    try? FileManager.default.removeItem(atPath: "\(root)/hosts")
    return try TestSupport.run(
      "/usr/bin/unshare", ["-n", "-m", withHosts, "\(count)", root] + command,
      environment: ["ALA": "\(root)/ala"].merging(allowed) { $1 }.merging(environment) { $1 }, seconds: 90,
      whileRunning: whileRunning)
  }

  func train(
    _ name: String, _ arguments: [String] = [], _ environment: [String: String] = [:],
    whileRunning: ((Int32) -> Void)? = nil
  ) throws -> ProcessResult {
    try run(
      [
        "\(repositoryRoot)/launch/hosts", "\(root)/hosts/hosts.txt", "train", "\(root)/c.yaml", "--set",
        "run.dir=\(root)/\(name)", "--threads", "1",
      ] + arguments, environment, whileRunning: whileRunning)
  }

  /// Waits until a run has made some steps, and has the last host cut off or put out.
  ///
  /// - Returns: when.
  func hit(_ name: String, _ blow: String) -> Date {
    for _ in 0..<1200 where !FileManager.default.fileExists(atPath: "\(root)/\(name)/checkpoints/last.h5") {
      usleep(50_000)
    }
    usleep(200_000)
    _ = FileManager.default.createFile(atPath: "\(root)/hosts/\(blow)", contents: nil)
    return Date()
  }
}

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"), arguments: ["", bridge])
func twoHostsTrainTheBitsOfOneProcessWhateverTheyHaveInCommon(bridge: String) throws {
  let hosts = try Hosts(2)
  let result = try hosts.train("apart", [], ["BRIDGE": bridge])
  #expect(result.code == 0, "\(result.errors)")
  #expect(result.errors.contains("172.17.0.1 (docker0)") == !bridge.isEmpty)
  #expect(!result.errors.contains("WARNING") && !result.errors.contains("Warning: could not find"), "\(result.errors)")
  #expect(try hosts.bench.ala("train", run: "alone").code == 0)
  #expect(try hosts.bench.digest("apart") == hosts.bench.digest("alone"))
  #expect(try hosts.bench.checkpoint("apart").integer("world_size") == 2)
}

/// The processes that run a file.
private func processes(of program: String) -> [Int32] {
  ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap(Int32.init).filter {
    (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\($0)/exe")) == program
  }
}

private let long = ["--set", "training.epochs=100000", "--set", "training.patience=0"]

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"), arguments: ["cut", "die"])
func aHostThatIsCutOffOrDiesEndsEveryRankAndTheRunGoesOnWithTheSameBits(blow: String) throws {
  let hosts = try Hosts(2)
  let root = hosts.root
  var since = Date()
  let result = try hosts.train(blow, long) { _ in since = hosts.hit(blow, blow) }
  #expect(Date().timeIntervalSince(since) < 30 && processes(of: "\(root)/ala").isEmpty, "\(result.errors)")
  if blow == "cut" {
    #expect(result.code == 69 && result.errors.contains("rank 1 on host2 has not answered"), "\(result.errors)")
  } else {
    #expect(result.code != 0, "\(result.errors)")
  }
  #expect((try hosts.bench.checkpoint(blow).integer("step") ?? 0) > 0)
  // Both go on from here to one place, by two hosts and by one process.
  try FileManager.default.copyItem(atPath: "\(root)/\(blow)", toPath: "\(root)/copy")
  let more = long + ["--stop-after-steps", "5"]
  #expect(try hosts.train(blow, more).code == 0)
  #expect(try hosts.bench.ala("train", run: "copy", more).code == 0)
  #expect(try hosts.bench.digest(blow) == hosts.bench.digest("copy"))
}

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"), arguments: ["", "early"])
func aSignalToTheLauncherOfHostsEndsTheJobInACheckpointOrBeforeItBegan(moment: String) throws {
  let hosts = try Hosts(2)
  let root = hosts.root
  let wait = moment == "early" ? "sleep 0.05" : "until [ -e '\(root)/asked/checkpoints/last.h5' ]; do sleep 0.1; done"
  let result = try hosts.run([
    "sh", "-c",
    """
    '\(repositoryRoot)/launch/hosts' '\(root)/hosts/hosts.txt' train '\(root)/c.yaml' --set 'run.dir=\(root)/asked' \
      --threads 1 \(long.joined(separator: " ")) & launcher=$!
    \(wait); kill -TERM $launcher
    wait $launcher
    """,
  ])
  #expect(result.code == 75 && processes(of: "\(root)/ala").isEmpty, "\(result.errors)")
}

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"))
func aHostOfIPv6AloneThatIsCutOffIsNamed() throws {
  let hosts = try Hosts(2)
  let alone = [
    "IPV6": "yes", "OMPI_MCA_btl_tcp_disable_family": "4", "OMPI_MCA_oob_tcp_disable_ipv4_family": "1",
  ]
  let result = try hosts.train("six", long, alone) { _ in _ = hosts.hit("six", "cut") }
  #expect(result.code == 69 && result.errors.contains("rank 1 on host2 has not answered"), "\(result.errors)")
  #expect(processes(of: "\(hosts.root)/ala").isEmpty)
}

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"))
func mpirunWithoutALauncherEndsOnceTheRankBesideItHasLeft() throws {
  let hosts = try Hosts(1)
  let train = "\(hosts.root)/ala train --config \(hosts.root)/c.yaml --set run.dir=\(hosts.root)/direct --threads 1"
  // Rank 0 is mpirun's own child, on its host.
  let start = "mpirun --host 10.77.0.254:1,10.77.0.1:1 --bind-to none \(train) \(long.joined(separator: " "))"
  var since = Date()
  let result = try hosts.run(["sh", "-c", start]) { _ in since = hosts.hit("direct", "cut") }
  #expect(result.code != 0 && Date().timeIntervalSince(since) < 30, "\(result.errors)")
  #expect(result.errors.contains("rank 1 on host1 has not answered"), "\(result.errors)")
  #expect(processes(of: "\(hosts.root)/ala").isEmpty)
}

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"))
func doctorNotesAddressesInCommonAndTellsOfRanksThatDoNotReachEachOther() throws {
  let hosts = try Hosts(2)
  let doctor =
    "mpirun --hostfile \(hosts.root)/hosts/hosts.txt --bind-to none \(hosts.root)/ala doctor --dir \(hosts.root)"
  // Every rank knows mpirun's addresses, and leaves out what it has itself.
  let known = try hosts.run(["sh", "-c", doctor], ["BRIDGE": bridge, "BRIDGE_HERE": bridge])
  #expect(known.code == 0, "\(known.errors)")
  let line = known.output.split(separator: "\n").first { $0.contains(" network ") } ?? ""
  #expect(line.hasPrefix("note") && line.contains("172.17.0.1 (docker0) on host1, host2"), "\(known.output)")
  #expect(line.contains("--mca btl_tcp_if_include 10.77.0.0/24 --mca oob_tcp_if_include 10.77.0.0/24"), "\(line)")
  // Nobody tells of addresses that mpirun's host has not.
  let patience = ["ALA_RUN__PATIENCE_SECONDS": "1"]
  let unknown = try hosts.run(
    ["sh", "-c", doctor.replacingOccurrences(of: "mpirun", with: "mpirun -x ALA_RUN__PATIENCE_SECONDS")],
    patience.merging(["BRIDGE": bridge]) { $1 })
  let lines = unknown.errors.split(separator: "\n").filter { $0.hasPrefix("ala: error: ") }
  #expect(unknown.code == 69 && lines.count == 1, "\(unknown.errors)")
  #expect(
    lines.first?.contains("do not reach each other") == true
      && lines.first?.contains("docker0 172.17.0.1 in 172.17.0.0/16") == true
      && lines.first?.contains("btl_tcp_if_include 10.77.0.0/24") == true, "\(lines)")
}

@Test(.enabled(if: isFree(obstacle), "there can be no hosts here"))
func hostsWithFoldersOrProgramsOfTheirOwnUnderOneNameDoNotTrain() throws {
  let hosts = try Hosts(2)
  // Each host has a /tmp of its own.
  let own = "/tmp/ala-own-\(UInt32.random(in: 0 ... .max))"
  let folder = try hosts.train("x", ["--set", "run.dir=\(own)"])
  #expect(folder.code == 78 && folder.errors.contains("run.dir: \(own) is another folder here"), "\(folder.errors)")
  #expect(folder.errors.contains("(rank 1 on host2)"), "\(folder.errors)")
  let cache = [
    "\(repositoryRoot)/launch/hosts", "\(hosts.root)/hosts/hosts.txt", "cache", "\(hosts.root)/c.yaml", "--set",
    "cache.dir=\(own)",
  ]
  let cached = try hosts.run(cache)
  #expect(cached.code == 78 && cached.errors.contains("cache.dir: \(own) is another folder here"), "\(cached.errors)")
  for host in ["host1", "host2"] {
    try FileManager.default.createDirectory(atPath: "\(hosts.root)/of-\(host)", withIntermediateDirectories: true)
    try FileManager.default.copyItem(atPath: "\(hosts.root)/ala", toPath: "\(hosts.root)/of-\(host)/ala")
  }
  let other = try #require(FileHandle(forWritingAtPath: "\(hosts.root)/of-host2/ala"))
  try other.seekToEnd()
  try other.write(contentsOf: Data([0]))
  try other.close()
  let chooser = "\(hosts.root)/chooser"
  try "#!/bin/sh\nexec \(hosts.root)/of-$(hostname)/ala \"$@\"\n".write(
    toFile: chooser, atomically: true, encoding: .utf8)
  chmod(chooser, 0o755)
  let program = try hosts.train("y", [], ["ALA": chooser])
  #expect(program.code == 78 && program.errors.contains("the program's sha256 is "), "\(program.errors)")
}
