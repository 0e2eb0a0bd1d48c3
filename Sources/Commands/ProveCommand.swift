import ArgumentParser
import Cluster
import Failures
import Files
import Foundation
import Reproducibility

struct ProveCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "prove",
    abstract: "Shows on this machine that training ends in the same bits however it is run.",
    discussion:
      "Makes the same steps on a few of your images at several world sizes and thread counts, live and from a cache, stopped, killed and resumed, and compares the digests; in a temporary folder, with mpirun of the PATH or ALA_MPIRUN.\n\nExample: ala prove --config configs/quickstart.yaml --ranks 1,2,4"
  )

  @OptionGroup var settings: SettingsOptions

  @Option(help: "Numbers of ranks; the first is the reference.", transform: WorldSizes.init)
  var ranks = WorldSizes(list: [1, 2, 4])

  @Option(help: "Steps of each run, over a few epochs.")
  var steps = 12

  @Flag(help: "Print one JSON object.")
  var json = false

  /// A comma-separated list.
  struct WorldSizes {
    let list: [Int]

    init(list: [Int]) { self.list = list }

    init(_ text: String) throws {
      let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map {
        Int($0.trimmingCharacters(in: .whitespaces))
      }
      list = numbers.compactMap { $0 }
      guard !list.isEmpty, list.count == numbers.count, list.allSatisfy({ (1...1024).contains($0) }),
        Set(list).count == list.count
      else { throw ValidationError("--ranks \(text): expected different numbers from 1 to 1024, such as 1,2,4") }
    }
  }

  func validate() throws {
    try settings.check(json: json)
    guard (2...100_000).contains(steps) else {
      throw ValidationError("--steps is \(steps); expected a number from 2 to 100000")
    }
  }

  func run(on cluster: Cluster) throws {
    guard cluster.size == 1 else {
      throw cluster.agreed(.usage("ala prove starts mpirun itself: start it alone, with --ranks"))
    }
    let resolved = try settings.resolve(on: cluster)
    if settings.dryRun { return try settings.show(resolved, on: cluster) }
    let configuration = resolved.configuration
    let request = ProofRequest(
      worlds: ranks.list, steps: steps, program: Program.path, environment: ProcessInfo.processInfo.environment)
    let proof = try prove(configuration, request) { StandardError.note($0) }
    if json {
      try StandardOutput.printJSON(proof)
    } else {
      try StandardOutput.print(proof.lines.joined(separator: "\n"))
    }
    guard proof.holds else { throw Failure.internalError(proof.verdict) }
  }
}
