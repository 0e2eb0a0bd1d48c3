import Foundation
import TestSupport
import Testing

@Test(.enabled(if: ProcessInfo.processInfo.activeProcessorCount > 1, "a machine of one processor"))
func aRankThatIsBoundToLessThanItsLauncherHasIsToldOfItUnlessThreadsAreGiven() throws {
  let bench = try TrainingBench()
  func errors(_ binding: String, _ name: String, _ more: [String] = []) throws -> String {
    let arguments = [
      "train", "--config", "\(bench.folder.path)/c.yaml", "--set", "run.dir=\(bench.folder.path)/\(name)",
    ]
    let result = try run(
      "/usr/bin/mpirun",
      ["-np", "1", "--bind-to", binding, bench.program] + arguments + ["--stop-after-steps", "1"] + more,
      environment: ["OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"], seconds: 60)
    #expect(result.code == 0, "\(result.errors)")
    return result.errors
  }
  let bound = try errors("core", "core")
  #expect(bound.contains(/are bound to \d+ of the \d+ processors .* give mpirun --bind-to none/), "\(bound)")
  #expect(try !errors("none", "none").contains("are bound to"))
  #expect(try !errors("core", "given", ["--threads", "2"]).contains("are bound to"))
}
