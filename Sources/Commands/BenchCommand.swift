import ArgumentParser
import Benchmark
import Cluster
import Experiments
import Failures
import Files
import Foundation
import Machine
import Tensor

struct BenchCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Times a part of the work at ViT-B/16 size on random weights, against what the machine allows.",
    discussion: """
      Examples:
        ala bench encode --threads 2 --batch 8 --json
        mpirun -np 2 ala bench train-alpha --profile
        ala bench checkpoint --folder runs
        ala bench encode train-alpha --against python3
      """)

  @Argument(
    help: ArgumentHelp(
      "encode, train-alpha, train-ones, live-alpha, live-ones, perturb, fcam, rise, cache-read or checkpoint; with --against several, or none for all of the lattice.",
      valueName: "work"),
    completion: .list(BenchmarkWork.allCases.map(\.rawValue) + ["cache-read", "checkpoint"]))
  var works: [Work] = []

  @Option(
    help: ArgumentHelp(
      "Time the works in turns with the same in PyTorch, and encode with OpenVINO where that is there, and print a table; names a Python with torch.",
      valueName: "python"), completion: .file())
  var against: String?

  @Option(help: "Rounds of --against, of which the medians count.")
  var rounds = 5

  @Option(help: "Threads of each process; by default its share of the processors.")
  var threads: Int?

  @Option(help: "Samples of a step, over all ranks: 8; of rise the masks of a map, 20 for each thread.")
  var batch: Int?

  @Option(
    help: "float32 or bfloat16, of the products of the blocks below the first with LoRA (encoder.precision).",
    completion: .list(["float32", "bfloat16"]))
  var dtype = Precision.float32

  @Option(
    help: "The library of the products in float32: auto, openblas or onednn (run.products).",
    completion: .productLibraries)
  var products = "auto"

  @Option(help: "Steps of a repeat.")
  var steps = 4

  @Option(help: "Repeats, of which the fastest counts.")
  var repeats = 3

  @Option(help: "Where checkpoint and cache-read write their files; they are removed again.", completion: .directory)
  var folder = NSTemporaryDirectory()

  @Flag(help: "Print one JSON object.")
  var json = false

  @Flag(help: "Tell where the time goes, by part of the model and kind of kernel.")
  var profile = false

  func validate() throws {
    if against == nil, works.count != 1 {
      throw ValidationError(
        works.isEmpty ? "Missing expected argument '<work>'" : "\(works.count) works are for --against; name one")
    }
    if against != nil, profile {
      throw ValidationError("--profile is not for --against: the works run in processes of their own")
    }
    for work in works {
      if dtype != .float32 {
        guard case .model(let work) = work, !work.startsFromCache else {
          throw ValidationError(
            "--dtype \(dtype.rawValue): only the encoder's frozen blocks know another type than float32 (encode, live-alpha, live-ones, perturb, rise)"
          )
        }
      }
      if against != nil {
        guard case .model(let work) = work, PeerComparison.peerWorks.contains(work) else {
          throw ValidationError(
            "the peer of --against has \(PeerComparison.peerWorks.map(\.rawValue).joined(separator: ", "))")
        }
      }
    }
    guard products == "auto" || ProductLibrary(rawValue: products) != nil else {
      throw ValidationError("--products is \(products); expected auto, openblas or onednn")
    }
    for (name, value, most) in [
      ("threads", threads ?? 1, 1024), ("batch", batch ?? 1, 65_536), ("steps", steps, 1_000_000),
      ("repeats", repeats, 1_000_000), ("rounds", rounds, 1000),
    ] where !(1...most).contains(value) {
      throw ValidationError("--\(name) is \(value); expected a number from 1 to \(most)")
    }
  }

  var isSharedByRanks: Bool { true }

  /// Else the process that is being timed would be left behind, or files.
  var endsOnSignals: Bool { against == nil && works.allSatisfy { if case .model = $0 { true } else { false } } }

  func run(on cluster: Cluster) throws {
    if let against { return try compare(with: against, on: cluster) }
    for work in works { try time(work, on: cluster) }
  }

  private func compare(with python: String, on cluster: Cluster) throws {
    guard cluster.size == 1 else {
      throw Failure.usage("--against starts its processes itself: run it without mpirun")
    }
    let chosen = works.compactMap { if case .model(let work) = $0 { work } else { nil } }
    let all = PeerComparison.peerWorks.filter { dtype == .float32 ? $0 != .fcam : !$0.startsFromCache }
    let comparison = PeerComparison(
      python: python, works: chosen.isEmpty ? all : chosen, rounds: rounds, threads: threads ?? Processor.available(),
      batch: batch ?? 8, precision: dtype, products: products, steps: steps, repeats: repeats)
    let table = try comparison.run { StandardError.note("ala: \($0)") }
    try show(table, on: cluster, table.text)
  }

  private func time(_ work: Work, on cluster: Cluster) throws {
    switch work {
    case .model(let work):
      let threads = threads ?? cluster.threadShare().threads
      let library = try cluster.agree { try ProductLibrary(setting: products) }
      let result = try benchmark(
        work, threads: threads, batch: batch ?? work.usualBatch(threads: threads * cluster.size), steps: steps,
        repeats: repeats, precision: dtype, library: library, isProfiled: profile,
        isBLASForced: BLASKernel.choice.isForced, cluster: cluster)
      try show(
        result, on: cluster,
        String(
          format: "%@: %.2f samples/s (%d ranks x %d threads, batch %d), peak %d MiB a rank\n", result.work,
          result.samplesPerSecond, result.world, result.threads, result.batch, result.peakRSS)
          + String(
            format:
              "products by %@: %.1f GFLOP a sample; these alone reach %.0f GFLOP/s on their shapes; share of that roof %.2f; a product of 4096³ reaches %.0f, share of that ceiling %.2f\n",
            result.products, result.gflopPerSample, result.gemmGFLOPS, result.roof, result.ceilingGFLOPS,
            result.ceiling)
          + "BLAS \(BLASKernel.choice.description)" + (result.profile.map { "\n\($0.table)" } ?? ""))
    case .cacheRead:
      let result = try benchmarkCacheRead(repeats: repeats, cluster: cluster, below: folder)
      try show(
        result, on: cluster,
        String(
          format:
            "cache-read: %.0f rows/s, %.0f MiB/s, every row checked; read(2) and CRC-32 of the same bytes: %.0f MiB/s; share of that roof %.2f",
          result.rowsPerSecond, result.mibPerSecond, result.plainMiBPerSecond, result.roof))
    case .checkpoint:
      let result = try benchmarkCheckpoint(repeats: repeats, cluster: cluster, below: folder)
      try show(
        result, on: cluster,
        String(
          format:
            "checkpoint: %.0f MiB; a step waits %.3f s, %.2f%% of a run's time at one a minute; written beside the steps in %.2f s; digest of an epoch %.3f s",
          result.mib, result.waitSeconds, 100 * result.share, result.seconds, result.digestSeconds))
    }
  }

  private func show(_ result: some Encodable, on cluster: Cluster, _ text: String) throws {
    try cluster.onRoot {
      guard json else { return try StandardOutput.print(text) }
      try StandardOutput.printJSON(result)
    }
  }

  /// What is timed: the model's work, or files.
  enum Work: ExpressibleByArgument {
    case model(BenchmarkWork)
    case cacheRead
    case checkpoint

    init?(argument: String) {
      switch argument {
      case "cache-read": self = .cacheRead
      case "checkpoint": self = .checkpoint
      default:
        guard let work = BenchmarkWork(named: argument) else { return nil }
        self = .model(work)
      }
    }
  }
}

extension Precision: ExpressibleByArgument {}
