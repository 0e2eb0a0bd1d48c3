import ArgumentParser
import Cluster
import Estimation
import Experiments
import Failures
import Files
import Settings

/// What beside the settings tells what a command would cost.
struct CostOptions: ParsableArguments {
  @Flag(name: .long, help: "With --dry-run: also measure, for some seconds, and tell how long it would take.")
  var estimate = false

  /// The settings and, as YAML's comments, what they cost. Settings are told where data or weights are not there, too, or
  /// where the network could not be made on this machine.
  ///
  /// - Parameters:
  ///   - begin: what the command refuses before it reads data and encoder.
  ///   - check: what it refuses after.
  /// - Throws: what the command itself would throw before it begins, but for data and weights that are not there.
  func show(
    _ settings: ResolvedSettings, _ options: SettingsOptions, of work: Work, on cluster: Cluster,
    begin: () throws -> Void = {}, check: (Experiment) throws -> Void = { _ in }
  ) throws {
    try options.show(settings, on: cluster)
    try begin()
    guard options.excess(settings.configuration, isTraining: work.trains, cluster) == nil else { return }
    do {
      let lines = try costLines(
        settings.configuration, of: work, isMeasured: estimate, cluster: cluster, check: check)
      try cluster.onRoot { try StandardOutput.print(remarks(lines)) }
    } catch let failure as Failure where failure.code == .missingInput {
      if cluster.isRoot { StandardError.note("ala: warning: the cost is not known: \(failure.message)") }
    }
  }

  /// - Throws: `ValidationError` where nothing would read the flag.
  func check(isDryRun: Bool) throws {
    if estimate && !isDryRun { throw ValidationError("--estimate tells what a --dry-run does not do: give both") }
  }
}
