import ArgumentParser
import Cluster
import Files
import Reporting

struct ReportCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "One self-contained page: curves, tables and examples of one run or several side by side.",
    discussion: "Example: ala report runs/quickstart/run --out runs/quickstart/report.html")

  @Argument(help: "Folders of runs (their evaluations are found) or of evaluations.")
  var runs: [String]

  @Option(help: "The HTML file to write.")
  var out: String

  @Flag(help: "Replace a file that is no report of this command.")
  var overwrite = false

  func run(on cluster: Cluster) throws {
    try cluster.onRoot {
      try guardOutput(out, inputs: [], isOverwriting: overwrite, isOwn: isReport)
      try writeAtomically(try renderReport(runs), to: out)
      StandardOutput.note("written to \(out)")
    }
  }
}
