import Foundation
import Storage
import TestSupport
import Testing

/// Several hosts, which are namespaces of this machine (Tests/Hosts/with-hosts): `launch/hosts` starts ranks on them
/// through a remote agent.

private let withHosts = "\(repositoryRoot)/Tests/Hosts/with-hosts"

/// Why there can be no hosts here; nil where there can.
private let obstacle: String? = {
  guard let folder = try? TemporaryFolder() else { return "no temporary folder" }
  let tried = try? run("/usr/bin/unshare", ["-n", "-m", withHosts, "1", folder.path, "true"], seconds: 30)
  return tried?.code == 0 ? nil : "namespaces and their networks cannot be made here: \(tried?.errors ?? "no unshare")"
}()

private struct Hosts {
  let bench: TrainingBench
  let count: Int

  init(_ count: Int) throws {
    bench = try TrainingBench(lanes: 4, extra: "run: {patience_seconds: 2}\ncheckpoint: {every_minutes: 0.002}")
    self.count = count
    // A host sees nothing else of what may lie in /tmp.
    try FileManager.default.copyItem(atPath: bench.program, toPath: "\(bench.folder.path)/ala")
  }

  func train(_ name: String, _ arguments: [String] = [], whileRunning: ((Int32) -> Void)? = nil) throws -> ProcessResult
  {
    let root = bench.folder.path
    try? FileManager.default.removeItem(atPath: "\(root)/hosts")
    return try run(
      "/usr/bin/unshare",
      [
        "-n", "-m", withHosts, "\(count)", root, "\(repositoryRoot)/launch/hosts", "\(root)/hosts/hosts.txt", "train",
        "\(root)/c.yaml", "--set", "run.dir=\(root)/\(name)", "--threads", "1",
      ] + arguments,
      environment: ["ALA": "\(root)/ala"], seconds: 90, whileRunning: whileRunning)
  }

  /// Waits until a run has made some steps, and has the last host cut off or put out.
  func hit(_ name: String, _ blow: String) {
    let root = bench.folder.path
    for _ in 0..<1200 where !FileManager.default.fileExists(atPath: "\(root)/\(name)/checkpoints/last.h5") {
      usleep(50_000)
    }
    usleep(200_000)
    _ = FileManager.default.createFile(atPath: "\(root)/hosts/\(blow)", contents: nil)
  }
}

@Test(.enabled(if: obstacle == nil, "\(obstacle ?? "")")) func twoHostsTrainTheBitsOfOneProcess() throws {
  let hosts = try Hosts(2)
  let result = try hosts.train("apart")
  #expect(result.code == 0, "\(result.errors)")
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

@Test(.enabled(if: obstacle == nil, "\(obstacle ?? "")"), arguments: ["cut", "die"])
func aHostThatIsCutOffOrDiesEndsEveryRankAndTheRunGoesOnWithTheSameBits(blow: String) throws {
  let hosts = try Hosts(2)
  let root = hosts.bench.folder.path
  let long = ["--set", "training.epochs=100000", "--set", "training.patience=0"]
  let result = try hosts.train(blow, long) { _ in
    hosts.hit(blow, blow)
    for _ in 0..<400 where !processes(of: "\(root)/ala").isEmpty { usleep(100_000) }
    #expect(processes(of: "\(root)/ala").isEmpty, "ranks are left")
    // mpirun itself waits for the daemon of a host that it cannot reach.
    usleep(500_000)
    _ = try? run("/usr/bin/pkill", ["-KILL", "-f", "hostfile \(root)/hosts"])
  }
  #expect(result.code != 0, "\(result.errors)")
  if blow == "cut" {
    #expect(result.errors.contains("rank 1 on host2 has not answered"), "\(result.errors)")
  }
  #expect((try hosts.bench.checkpoint(blow).integer("step") ?? 0) > 0)
  // Both go on from here to one place, by two hosts and by one process.
  try FileManager.default.copyItem(atPath: "\(root)/\(blow)", toPath: "\(root)/copy")
  let more = long + ["--stop-after-steps", "5"]
  #expect(try hosts.train(blow, more).code == 0)
  #expect(try hosts.bench.ala("train", run: "copy", more).code == 0)
  #expect(try hosts.bench.digest(blow) == hosts.bench.digest("copy"))
}
