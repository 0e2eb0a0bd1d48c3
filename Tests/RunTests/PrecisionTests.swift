import Foundation
import Tensor
import TestSupport
import Testing

/// `encoder.precision` as users meet it.

private let inBFloat16 = ["--set", "encoder.precision=bfloat16"]

#if BFloat16
  private let isAvailable = (try? BFloat16Support.current()) != nil

  @Test(.enabled(if: isAvailable)) func inBFloat16TooAnyRanksAndThreadsGiveTheSameBits() throws {
    let bench = try TrainingBench(lanes: 4)
    #expect(try bench.ala("train", run: "float32").code == 0)
    for (ranks, threads) in [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2)] {
      let name = "w\(ranks)x\(threads)"
      let result = try bench.ala("train", ranks: ranks, run: name, threads: threads, inBFloat16)
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.errors.contains("products of blocks 1 to 2 by oneDNN"), "\(result.errors)")
      #expect(try bench.digest(name) == bench.digest("w1x1"), "\(ranks) ranks x \(threads) threads")
    }
    #expect(try bench.digest("w1x1") != bench.digest("float32"), "the precision makes no difference")
  }

  @Test(.enabled(if: isAvailable)) func aCacheOfAnotherPrecisionIsStaleAndTheDifferenceIsNamed() throws {
    let bench = try TrainingBench(lanes: 4, cache: "yes")
    let live = inBFloat16 + ["--set", "cache.dir=null"]
    #expect(try bench.ala("train", run: "live", live).code == 0)
    #expect(try bench.ala("cache", run: "cached").code == 0)
    let stale = try bench.ala("train", run: "stale", inBFloat16 + ["--stop-after-steps", "1"])
    #expect(
      stale.code == 0 && stale.errors.contains("\"precision\":\"bfloat16\"") && stale.errors.contains("; live"),
      "\(stale.errors)")
    #expect(try bench.ala("cache", ranks: 2, run: "cached", inBFloat16).code == 0)
    let cached = try bench.ala("train", run: "cached", inBFloat16)
    #expect(cached.code == 0 && cached.errors.contains("from the cache"), "\(cached.errors)")
    #expect(try bench.digest("cached") == bench.digest("live"))
  }

  @Test(.enabled(if: isAvailable)) func aRunGoesOnOnlyInItsPrecision() throws {
    let bench = try TrainingBench(lanes: 4)
    #expect(try bench.ala("train", run: "run", ["--stop-after-steps", "1"]).code == 0)
    let other = try bench.ala("train", run: "run", inBFloat16)
    #expect(other.code == 78 && other.errors.contains("encoder.precision"), "\(other.errors)")
  }

  @Test(.enabled(if: isAvailable)) func aProcessorWithoutTheInstructionsIsToldSo() throws {
    let bench = try TrainingBench(lanes: 4)
    let arguments = [
      "train", "--config", "\(bench.folder.path)/c.yaml", "--stop-after-steps", "1", "--set",
      "run.dir=\(bench.folder.path)/run",
    ]
    let emulated = try run(bench.program, arguments + inBFloat16, environment: ["DNNL_MAX_CPU_ISA": "AVX512_CORE"])
    #expect(emulated.code == 0 && emulated.errors.contains("has no bfloat16 instructions"), "\(emulated.errors)")
    let refused = try run(bench.program, arguments + inBFloat16, environment: ["DNNL_MAX_CPU_ISA": "AVX2"])
    #expect(refused.code == 69 && refused.errors.contains("AVX-512"), "\(refused.errors)")
  }
#else
  @Test func withoutOneDNNARunInBFloat16EndsWith69AndSaysWhatToInstall() throws {
    let bench = try TrainingBench(lanes: 4)
    let result = try bench.ala("train", ranks: 2, run: "run", inBFloat16)
    #expect(result.code == 69 && result.errors.contains("libdnnl-dev"), "\(result.errors)")
  }
#endif
