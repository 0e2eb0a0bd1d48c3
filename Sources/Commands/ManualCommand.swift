import ArgumentParser
import Cluster
import Files

struct ManualCommand: ClusterCommand {
  static let configuration = CommandConfiguration(
    commandName: "manual",
    abstract: "Writes manual pages and shell completions, for who installs the program.",
    discussion: """
      Example: ala manual --out share

      writes share/man/man1/ala.1 and a page for each command, and completions for bash, zsh and fish where these shells \
      look for them below a prefix's share/.
      """)

  @Option(help: "The folder to write to.", completion: .directory)
  var out: String

  @Flag(help: "Replace files in the folder that this command has not made.")
  var overwrite = false

  func run(on cluster: Cluster) throws {
    try cluster.onRoot {
      let pages = ManualPage.all(of: try CommandDescription.ofProgram(), version: Program.version)
      let files =
        pages.map { ("man/man1/\($0.name).1", $0.text) } + [
          ("bash-completion/completions/ala", Ala.completionScript(for: .bash)),
          ("zsh/site-functions/_ala", Ala.completionScript(for: .zsh)),
          ("fish/vendor_completions.d/ala.fish", Ala.completionScript(for: .fish)),
        ]
      var folder = OutputFolder(out, of: "manual", isOverwriting: overwrite)
      try folder.claim(files.map(\.0))
      for (name, text) in files {
        let path = "\(out)/\(name)"
        try makeFolder(String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]))
        try writeAtomically(text, to: path)
      }
      try folder.finish(removesOthers: true)
      StandardOutput.note("\(out): \(pages.count) manual pages, and completions for bash, zsh and fish")
    }
  }
}
