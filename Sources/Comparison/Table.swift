import Cluster
import Experiments
import Failures
import Files
import Foundation
import Images
import Reporting
import Settings
import Storage

/// What `ala table` is asked for beside the settings.
public struct TableRequest: Sendable {
  /// The folder to write to.
  public let out: String
  /// Tells the plan, and writes nothing but that.
  public let isDryRun: Bool
  /// Tells it as `plan.json`.
  public let isJSON: Bool
  /// `--overwrite`.
  public let isOverwriting: Bool
  /// The `ala` program, which examines foreign HDF5 files.
  public let program: String
  public let volume: Volume

  public init(
    out: String, isDryRun: Bool, isJSON: Bool, isOverwriting: Bool, program: String, volume: Volume
  ) {
    (self.out, self.isDryRun, self.isJSON, self.isOverwriting) = (out, isDryRun, isJSON, isOverwriting)
    (self.program, self.volume) = (program, volume)
  }
}

/// What a table writes into its folder beside its runs.
private let outputs = [
  "plan.json", TableStages.fileName, StartingCommand.fileName, "table.md", "table.csv", "table.tex", "table.json",
  "table.html", "figure.png",
]

/// `ala table`: trains and evaluates every row and seed, compares them, and writes the table; goes on where an
/// interrupted call was. Call on every rank.
///
/// - Parameter tell: shows the plan, on rank 0.
/// - Throws: `Failure` 78 or 65 before anything starts; 75 after a signal; the code of the first row that failed, when the
///   table of all others is written.
public func makeTable(
  _ base: Configuration, _ request: TableRequest, cluster: Cluster, tell: ([String]) throws -> Void
) throws {
  let log = RunLog(cluster, volume: request.volume)
  var lock: RunLock?
  var folder = OutputFolder(request.out, of: "table", isOverwriting: request.isOverwriting)
  // What the settings alone tell is told before anything is written.
  _ = try cluster.agree { try RowResolution(base) }
  if request.isDryRun {
    try cluster.onRoot { try folder.check(outputs, inputs: [base.encoder.weights], isAlone: true) }
    let plan = try TablePlan(base, out: request.out, cluster: cluster)
    return try cluster.onRoot { try tellPlan(plan, request, in: &folder, tell) }
  }
  try cluster.onRoot {
    try folder.claim(outputs, inputs: [base.encoder.weights], isAlone: true)
    lock = try RunLock(path: "\(request.out)/.lock") { log.warning($0) }
    folder.sweep()
    try log.openText("\(request.out)/log.txt")
    try StartingCommand.current(ranks: cluster.size).write(to: request.out)
  }
  defer { withExtendedLifetime(lock) {} }
  try cluster.requireOneFolder(request.out, "--out")
  let plan = try TablePlan(base, out: request.out, cluster: cluster)
  var notes: StageNotes?
  try cluster.onRoot {
    try writeAtomically(try plan.json(), to: "\(request.out)/plan.json")
    let states = try plan.states()
    try tell(plan.lines(states, workers: plan.workers))
    notes = StageNotes(plan, states, log: log)
  }
  let run = TableRun(plan, cluster: cluster, log: log, program: request.program, notes: notes)
  do {
    try run.run()
  } catch {
    log.keepLastWords(of: error, cluster)
    throw error
  }
  try cluster.onRoot {
    let hasFigure = try write(plan, run.failures, to: request.out)
    try folder.finish()
    log.info("written to \(request.out): table.md, table.html\(hasFigure ? ", figure.png" : "")")
  }
  guard let (_, first) = run.failures.first else { return }
  throw cluster.agreed(Failure(first.code, "\(first.message) (the table of all other rows is in \(request.out))"))
}

/// Shows the plan and writes `plan.json`, but leaves the folder alone while another call is at work there. Call on one rank.
private func tellPlan(
  _ plan: TablePlan, _ request: TableRequest, in folder: inout OutputFolder, _ tell: ([String]) throws -> Void
) throws {
  let text = try plan.json()
  if RunHolder.description(of: request.out) == nil {
    try folder.claim(["plan.json"], inputs: [])
    try writeAtomically(text, to: "\(request.out)/plan.json")
    try folder.finish()
  }
  try tell(request.isJSON ? [text] : plan.lines(try plan.states(), workers: plan.workers))
}

/// Compares what is there, and writes the table's files. Call on one rank.
///
/// - Returns: whether there is a figure: rows that are whole.
private func write(_ plan: TablePlan, _ failures: [(stage: Stage, failure: Failure)], to out: String) throws -> Bool {
  let results = try TableResults(
    plan,
    failures: failures.compactMap { stage, failure in
      if case .evaluate(let row, let seed) = stage { (row, seed, failure) } else { nil }
    })
  let text = TableText(plan: plan, results: results)
  let figure = try QualitativeFigure(plan, results).map { (picture: try $0.picture(), rule: $0.rule) }
  let page = TablePage(text: text, figure: figure, mapArea: try MapAreaChart(plan))
  for (name, content) in [
    ("table.md", text.markdown), ("table.csv", text.csv), ("table.tex", text.latex),
    ("table.json", try prettyJSON(TableJSON(text))), ("table.html", try page.render()),
  ] {
    try writeAtomically(content, to: "\(out)/\(name)")
  }
  if let figure {
    try writeAtomically(try encodePNG(figure.picture), to: "\(out)/figure.png")
  } else {
    unlink("\(out)/figure.png")
  }
  return figure != nil
}
