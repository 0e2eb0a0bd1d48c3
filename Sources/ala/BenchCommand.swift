import ArgumentParser
import Benchmark
import Cluster
import Foundation
import Machine
import Tensor

struct BenchCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Times a part of the work at ViT-B/16 size on random weights.",
    discussion: "Example: ala bench encode --threads 2 --batch 8 --json")

  @Argument(help: "encode, train-odd, train-even, live-odd, live-even or perturb.")
  var work: BenchmarkWork

  @Option(help: "Threads of each process; by default its share of the processors.")
  var threads: Int?

  @Option(help: "Samples of a step, over all ranks.")
  var batch = 8

  @Option(help: "float32 or bfloat16, of the products of the blocks below the first with LoRA (encoder.precision).")
  var dtype = Precision.float32

  @Option(help: "Steps of a repeat.")
  var steps = 4

  @Option(help: "Repeats, of which the fastest counts.")
  var repeats = 3

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(help: "Tell where the time goes, by part of the model and kind of kernel.")
  var profile = false

  func validate() throws {
    guard dtype == .float32 || !work.startsFromCache else {
      throw ValidationError(
        "--dtype \(dtype.rawValue): \(work.rawValue) starts from cached features, and all behind them is float32")
    }
    for (name, value) in [("threads", threads ?? 1), ("batch", batch), ("steps", steps), ("repeats", repeats)] where value < 1 {
      throw ValidationError("--\(name) is \(value); expected a number from 1")
    }
  }

  func run(on cluster: Cluster) throws {
    let threads = threads ?? max(1, Processor.available() / cluster.localSize)
    let result = try benchmark(
      work, threads: threads, batch: batch, steps: steps, repeats: repeats, precision: dtype, isProfiled: profile,
      isBLASForced: BLASKernel.choice.isForced, cluster: cluster)
    guard cluster.isRoot else { return }
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(result), as: UTF8.self))
    } else {
      print(
        String(
          format: "%@: %.2f samples/s (%d ranks x %d threads, batch %d), peak %d MiB a rank", result.work,
          result.samplesPerSecond, result.world, result.threads, result.batch, result.peakRSS))
      print(
        String(
          format: "products by %@: %.1f GFLOP a sample; these alone reach %.0f GFLOP/s on their shapes; share of that roof %.2f",
          result.products, result.gflopPerSample, result.gemmGFLOPS, result.roof))
      print("BLAS \(BLASKernel.choice.description)")
      if let profile = result.profile { print(profile.table) }
    }
  }
}

extension BenchmarkWork: ExpressibleByArgument {}
extension Precision: ExpressibleByArgument {}
