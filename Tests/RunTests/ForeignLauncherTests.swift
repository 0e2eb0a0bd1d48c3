import Foundation
import TestSupport
import Testing

/// Launchers that start several copies of the program of which MPI knows nothing.

@Test(arguments: [["SLURM_STEP_NUM_TASKS": "3"], ["PMI_SIZE": "2", "PMI_RANK": "0"], ["PMI_SIZE": "2"]])
func copiesThatAreNoRanksOfOneWorldAreRefusedWhereTheyWouldShareWork(marks: [String: String]) throws {
  let bench = try TrainingBench(cache: "yes")
  let root = bench.folder.path
  let config = ["--config", "\(root)/c.yaml", "--set", "run.dir=\(root)/r"]
  for arguments in [
    ["train"] + config, ["cache"] + config,
    ["evaluate", "--checkpoint", "\(root)/none.h5", "--out", "\(root)/o"] + config,
    ["table", "--out", "\(root)/t"] + config, ["bench", "encode"],
  ] {
    let result = try run(bench.program, arguments, environment: marks)
    #expect(result.code == 69, "\(arguments[0]): \(result.code) \(result.errors)")
    #expect(result.errors.contains(marks.keys.first { $0 != "PMI_RANK" } ?? "") && result.errors.contains("mpirun"))
  }
  #expect(try Set(FileManager.default.contentsOfDirectory(atPath: root)) == ["c.yaml", "data"])
  for arguments in [
    ["inspect", "\(root)/data/encoder.safetensors"], ["doctor", "--dir", root], ["--help"], ["train", "--help"],
    ["--version"], ["synth", "--out", "\(root)/more", "--classes", "2", "--images-per-class", "4", "--size", "32"],
  ] {
    let result = try run(bench.program, arguments, environment: marks)
    #expect(result.code == 0, "\(arguments[0]): \(result.code) \(result.errors)")
  }
}

@Test func oneOfTheCopiesSpeaksAndOneTaskOrRanksOfOpenMPIAreNotRefused() throws {
  let bench = try TrainingBench()
  let train = [
    "train", "--config", "\(bench.folder.path)/c.yaml", "--set", "run.dir=\(bench.folder.path)/r", "--stop-after-steps",
    "1",
  ]
  let second = try run(bench.program, train, environment: ["SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"])
  #expect(second.code == 69 && second.errors.isEmpty, "\(second.errors)")
  #expect(try run(bench.program, train, environment: ["SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"]).code == 0)
  // mpirun starts its daemons by srun.
  #expect(try mpirun(ranks: 2, bench.program, train, environment: ["SLURM_STEP_NUM_TASKS": "2"]).code == 0)
}
