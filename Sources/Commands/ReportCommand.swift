import ArgumentParser
import Cluster
import Failures
import Files
import Foundation
import Reporting

struct ReportCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "report",
    abstract: "One self-contained page: curves, tables and examples of one run or several side by side.",
    discussion: """
      Examples:
        ala report runs/quickstart/run --out runs/quickstart/report.html
        ala report runs/first runs/second --out compared.html
      """)

  @Argument(help: "Folders of runs (their evaluations are found) or of evaluations.", completion: .directory)
  var runs: [String]

  @Option(help: "The HTML file to write.", completion: .file())
  var out: String

  @Flag(help: "Replace a file that is no report of this command.")
  var overwrite = false

  func run(on cluster: Cluster) throws {
    try cluster.onRoot {
      // A report in the folder of its run is replaced; whatever else lies there may be what the page is made of.
      let files = runs.flatMap { run in
        (FileManager.default.enumerator(atPath: run)?.compactMap { $0 as? String } ?? []).map { "\(run)/\($0)" }
      }
      try guardOutput(out, inputs: files.filter { !isReport($0) }, isOverwriting: overwrite, isOwn: isReport)
      let suffix = (out as NSString).pathExtension.lowercased()
      if ["pdf", "png", "svg", "jpg", "jpeg", "md", "txt", "json", "csv", "tex", "docx"].contains(suffix) {
        throw Failure.usage(
          "--out \(out): the page is HTML; expected a name that ends in .html (a browser prints a PDF of it)")
      }
      let page = try renderReport(runs) { StandardError.note("ala: warning: \($0)") }
      try makeFolder(of: out)
      try writeAtomically(page, to: out)
      StandardOutput.note("written to \(out)")
    }
  }
}
