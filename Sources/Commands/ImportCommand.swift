import ArgumentParser
import Cluster
import Dataset
import Experiments
import Failures
import Files
import Foundation

struct ImportCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Brings a folder of pictures into the layout that the other commands read; tells what it took and left.",
    discussion: """
      A folder for each class, or train/, val/ and test/ with such folders, or a CSV of path,label[,split]; with masks \
      and boxes where there are any (docs/own-data.md). Runs can read such a folder without an import, too \
      (data.layout: folders).

      Examples:
        ala import pictures --out data/pictures
        ala import pictures --labels labels.csv --out data/pictures --transfer copy
      """)

  @Argument(
    help: "The folder; or a CSV of path,label[,split], whose paths are relative to its folder.", completion: .file())
  var source: String

  @Option(help: "The folder to write to: a new or empty one, or that of an earlier import.", completion: .directory)
  var out: String

  @Option(
    help: ArgumentHelp("A CSV of path,label[,split]; by default one is looked for in the folder.", valueName: "file"),
    completion: .file())
  var labels: String?

  @Option(
    help: ArgumentHelp(
      "Boxes: a CSV, COCO's JSON, an XML of PASCAL VOC's, or a folder of such XML files; auto looks for tables and "
        + "JSON in the folder and its annotations/, for XML anywhere in it.", valueName: "auto|none|file|folder"),
    completion: .file())
  var boxes = "auto"

  @Option(
    help: ArgumentHelp(
      "A folder of masks; auto looks for x_mask.png or x.png beside x.jpg, and for folders such as masks/.",
      valueName: "auto|none|folder"), completion: .directory)
  var masks = "auto"

  @Option(
    help: ArgumentHelp(
      "How files are brought over: hard-link, copy (links fall back to it across file systems), or symbolic-link (runs "
        + "then need data.follow_links: true).", valueName: "hard-link|copy|symbolic-link"),
    completion: .list(["hard-link", "copy", "symbolic-link"]))
  var transfer = "hard-link"

  @OptionGroup var volume: VolumeOptions

  @Flag(help: "Take files that lie outside the folder, by symbolic links.")
  var followLinks = false

  @Flag(help: "Leave out what cannot be used, and tell of it, instead of refusing; every picture is then decoded.")
  var skipUnreadable = false

  @Flag(help: "Print what was taken and left as JSON.")
  var json = false

  @Flag(help: "Replace what an earlier import has made even where it has been changed since.")
  var overwrite = false

  /// Small sets are through before anybody asks how far they are.
  private static let quietSeconds = 2.0

  /// It ends between two files, and takes away what it has made.
  var endsOnSignals: Bool { false }

  func validate() throws {
    if source.isEmpty { throw ValidationError("the folder to import is empty; expected the name of a folder") }
    guard FileTransfer.Kind(rawValue: transfer) != nil else {
      throw ValidationError("--transfer \(transfer): expected hard-link, copy or symbolic-link")
    }
  }

  func run(on cluster: Cluster) throws {
    var options = DatasetOptions(root: source)
    options.layout = .folders
    options.labels = labels
    options.boxes = boxFiles(setting: boxes)
    options.masks = Masks(setting: masks)
    options.skipsUnreadable = skipUnreadable
    options.followsLinks = followLinks
    let signals = SignalWatch()
    let log = RunLog(cluster, volume: volume.volume)
    let kind = FileTransfer.Kind(rawValue: transfer) ?? .hardLink
    try cluster.onRoot {
      let start = Date()
      let report = try ImageImport(options, by: kind, isOverwriting: overwrite).write(to: out) { done, total in
        let seconds = Date().timeIntervalSince(start)
        if seconds > Self.quietSeconds {
          log.progress(done, of: total, doing: "import", rate: Double(done) / seconds, unit: "files")
        }
        return signals.pending == nil
      }
      log.endProgress()
      for warning in report.warnings { log.warning(warning) }
      if json { return try StandardOutput.print(try report.json(), terminator: "") }
      let links = kind == .symbolicLink ? " --set data.follow_links=true" : ""
      let next = "next: ala train --config my.yaml --set \(shellWord("data.root=\(out)"))\(links)"
      volume.note((report.lines + (report.train > 0 ? [next] : [])).joined(separator: "\n"))
    }
  }
}
