import Foundation
import TestSupport
import Testing

/// Where signals reach a process, and what becomes of those that come early.

/// The signals that a process, or one of its threads, holds back or catches, as bits from 1; nil once it has ended.
private func signals(of process: Int32, thread: String? = nil, _ field: String) -> UInt64? {
  let path = "/proc/\(process)/" + (thread.map { "task/\($0)/" } ?? "") + "status"
  let status = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("\(field):") }) else { return nil }
  return UInt64(line.dropFirst(field.count + 1).trimmingCharacters(in: .whitespaces), radix: 16)
}

private func bit(_ number: Int32) -> UInt64 { 1 << UInt64(number - 1) }

@Test(arguments: [SIGUSR1, SIGTERM]) func aSignalInAProcesssFirstMomentsIsHeard(number: Int32) throws {
  let bench = try TrainingBench(lanes: 4)
  let result = try bench.ala("train", run: "run") { process in
    while (signals(of: process, "SigBlk") ?? 0) & bit(number) == 0 {
      // Too late to try it, which another run will.
      if let caught = signals(of: process, "SigCgt"), caught & bit(number) != 0 { break }
    }
    kill(process, number)
  }
  #expect(result.code == 75, "\(result.code) \(result.errors)")
  // A command that does not listen ends by the signal, as ever.
  let other = try run(bench.program, ["bench", "encode", "--repeats", "1000"]) { process in
    usleep(300_000)
    kill(process, number)
  }
  #expect(other.code == number, "\(other.code)")
}

@Test func aSignalAtTheStartIsHeardAndTheRunEndsInTheSameWeights() throws {
  let bench = try TrainingBench(lanes: 4)
  let result = try bench.ala("train", run: "run") { process in
    while (signals(of: process, "SigCgt") ?? 0) & bit(SIGUSR1) == 0, kill(process, 0) == 0 {}
    kill(process, SIGUSR1)
  }
  #expect(result.code == 75, "\(result.code) \(result.errors)")
  #expect(try bench.ala("train", run: "run").code == 0)
  #expect(try bench.ala("train", run: "whole").code == 0)
  #expect(try bench.digest("run") == bench.digest("whole"))
}

/// A handler on a thread that is within oneDNN's product writes over that product's own values.
@Test func signalsReachNoThreadThatMultiplies() throws {
  let bench = try TrainingBench(lanes: 4)
  let long = ["--set", "training.epochs=400", "--set", "training.patience=1000"]
  let result = try bench.ala("train", run: "run", threads: 2, long) { process in
    waitForFirstStep(of: "\(bench.folder.path)/run")
    let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/task")) ?? []
    #expect(threads.count > 2)
    for number in [SIGUSR1, SIGTERM, SIGINT, SIGHUP, SIGXCPU] {
      // One that writes a checkpoint may have ended since.
      let open = threads.filter { signals(of: process, thread: $0, "SigBlk").map { $0 & bit(number) == 0 } ?? false }
      // Neither the main thread, whose id is the process's, nor any of the lanes'.
      #expect(open.count == 1 && open != ["\(process)"], "signal \(number): \(open) of \(threads)")
    }
    kill(process, SIGTERM)
  }
  #expect(result.code == 75, "\(result.code) \(result.errors)")
}

@Test(arguments: [1, 2]) func aBenchmarkThatASignalEndsLeavesNoFile(ranks: Int) throws {
  let folder = try TemporaryFolder()
  /// Of the weights, which have a name or not.
  func hasWeights(_ process: Int32) -> Bool {
    let files = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(process)/fd")) ?? []
    return files.contains { file in
      let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/fd/\(file)")
      return target?.hasPrefix("\(folder.path)/ala-") == true
    }
  }
  let result = try mpirun(
    ranks: ranks, builtProgram("ala"), ["bench", "encode", "--threads", "1", "--repeats", "1000"],
    environment: ["TMPDIR": folder.path], seconds: 60
  ) { process in
    var processes: [Int32] = []
    for _ in 0..<1000 where !processes.contains(where: hasWeights) {
      usleep(20_000)
      let found = try? run("/usr/bin/pgrep", ["-P", "\(process)"])
      processes = (found?.output ?? "").split(separator: "\n").compactMap { Int32($0) }
    }
    #expect(processes.contains(where: hasWeights))
    usleep(200_000)
    for process in processes { kill(process, SIGTERM) }
  }
  #expect(result.code != 0, "\(result.errors)")
  let left = (FileManager.default.enumerator(atPath: folder.path)?.compactMap { $0 as? String } ?? []).filter {
    ($0 as NSString).lastPathComponent.hasPrefix("ala-")
  }
  #expect(left.isEmpty, "\(left)")
}
