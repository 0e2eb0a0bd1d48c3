import ArgumentParser
import Cluster
import Comparison
import Files

struct TableCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "table",
    abstract:
      "Trains and evaluates every row and seed of a table, with tests of significance; the same command goes on.",
    discussion:
      "Rows, seeds and images are settings (table.rows, table.seeds, table.limit; docs/table.md). --dry-run prints the plan with the time, disk and memory that it takes on this machine.\n\nExample: mpirun -np 2 ala table --config configs/quickstart-table.yaml --out runs/quickstart/table"
  )

  @OptionGroup var settings: SettingsOptions
  @OptionGroup var volume: VolumeOptions

  @Option(help: "The folder to write to. An interrupted table goes on there.", completion: .directory)
  var out: String

  @Flag(help: "Replace files in the folder that this command has not made.")
  var overwrite = false

  @Flag(help: "With --dry-run, print the plan as JSON, as plan.json has it, and nothing else.")
  var json = false

  func validate() throws {
    if json && !settings.dryRun { throw ValidationError("--json: is of --dry-run; a table's JSON is OUT/table.json") }
  }

  var endsOnSignals: Bool { settings.dryRun }
  var isSharedByRanks: Bool { true }

  var patience: Double? { settings.patience }

  func run(on cluster: Cluster) throws {
    let resolved = try settings.resolve(on: cluster, isTraining: true)
    let configuration = resolved.configuration
    if settings.dryRun && !json { try settings.show(resolved, on: cluster) }
    let request = TableRequest(
      out: out, isDryRun: settings.dryRun, isJSON: json, isOverwriting: overwrite, program: Program.path,
      volume: volume.volume)
    try makeTable(configuration, request, cluster: cluster) { lines in
      if json { return try StandardOutput.print(lines.joined(), terminator: "") }
      guard settings.dryRun else { return volume.note(lines.joined(separator: "\n")) }
      try StandardOutput.print(remarks(lines))
    }
  }
}
