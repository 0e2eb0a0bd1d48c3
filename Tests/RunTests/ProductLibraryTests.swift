import Foundation
import Tensor
import TestSupport
import Testing

/// `run.products` as users meet it.

private func by(_ library: String) -> [String] { ["--set", "run.products=\(library)"] }

@Test(arguments: ProductLibrary.linked.map(\.rawValue))
func byEveryLibraryAnyRanksAndThreadsGiveTheSameBitsLiveAndCached(library: String) throws {
  let bench = try TrainingBench(lanes: 4, cache: "yes")
  let live = by(library) + ["--set", "cache.dir=null"]
  for (ranks, threads) in [(1, 1), (1, 2), (2, 1), (4, 2)] {
    let name = "w\(ranks)x\(threads)"
    let result = try bench.ala("train", ranks: ranks, run: name, threads: threads, live)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.errors.contains("(run.products: \(library))"), "\(result.errors)")
    #expect(try bench.digest(name) == bench.digest("w1x1"), "\(ranks) ranks x \(threads) threads")
    #expect(try bench.checkpoint(name).text("products") == library)
  }
  #expect(try bench.ala("cache", ranks: 2, run: "cached", by(library)).code == 0)
  let cached = try bench.ala("train", ranks: 2, run: "cached", by(library))
  #expect(cached.code == 0 && cached.errors.contains("from the cache"), "\(cached.errors)")
  #expect(try bench.digest("cached") == bench.digest("w1x1"))
}

#if BFloat16
  @Test func aRunGoesOnByItsOwnLibrary() throws {
    let bench = try TrainingBench(lanes: 4)
    for library in ["openblas", "onednn"] {
      #expect(try bench.ala("train", run: "whole-\(library)", by(library)).code == 0)
      #expect(try bench.ala("train", run: library, by(library) + ["--stop-after-steps", "5"]).code == 0)
      let other = library == "openblas" ? "onednn" : "openblas"
      let refused = try bench.ala("train", ranks: 2, run: library, by(other))
      #expect(
        refused.code == 78 && refused.errors.contains("run.products is \(other), the run has \(library)"),
        "\(refused.errors)")
      // Where the table would take the other, too.
      let resumed = try bench.ala("train", ranks: 2, run: library, by("auto"))
      #expect(resumed.code == 0 && resumed.errors.contains("(run.products: auto)"), "\(resumed.errors)")
      #expect(try bench.digest(library) == bench.digest("whole-\(library)"))
    }
    #expect(try bench.digest("openblas") != bench.digest("onednn"), "the library makes no difference")
  }

  @Test func aCacheOfAnotherLibraryIsStaleAndTheDifferenceIsNamed() throws {
    let bench = try TrainingBench(lanes: 4, cache: "yes")
    #expect(try bench.ala("cache", run: "cached", by("openblas")).code == 0)
    let stale = try bench.ala("train", run: "stale", by("onednn") + ["--stop-after-steps", "1"])
    #expect(
      stale.code == 0 && stale.errors.contains("\"products\":\"onednn\"") && stale.errors.contains("; live"),
      "\(stale.errors)")
  }

  @Test func autoFollowsTheInstructionsThatOneDNNMayUse() throws {
    let bench = try TrainingBench(lanes: 4)
    let arguments = [
      "train", "--config", "\(bench.folder.path)/c.yaml", "--stop-after-steps", "1", "--set",
      "run.dir=\(bench.folder.path)/run",
    ]
    let result = try run(bench.program, arguments, environment: ["DNNL_MAX_CPU_ISA": "AVX2"])
    #expect(result.code == 0 && result.errors.contains("products by OpenBLAS"), "\(result.errors)")
  }
#else
  @Test func withoutOneDNNARunByItEndsWith78AndSaysWhatToInstall() throws {
    let bench = try TrainingBench(lanes: 4)
    let result = try bench.ala("train", ranks: 2, run: "run", by("onednn"))
    #expect(result.code == 78 && result.errors.contains("libdnnl-dev"), "\(result.errors)")
    #expect(try bench.ala("train", run: "run", by("auto") + ["--stop-after-steps", "1"]).code == 0)
  }
#endif
