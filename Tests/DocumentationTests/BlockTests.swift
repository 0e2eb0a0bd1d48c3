import Foundation
import TestSupport
import Testing

/// What the documents tell their readers to type is typed, on small pictures, by settings that make it short.

/// What is laid over the files of `configs/` that documents use: their runs become tiny.
private let tiny = [
  "quickstart": """
  lora: {rank: 2}
  side: {width: 16, heads: 2}
  perception: {channels: [8, 8]}
  training: {epochs: 2}
  cache: {views: 1}
  evaluation: {steps: 2}
  rise: {masks: 8}
  """,
  "quickstart-table": """
  rise: {masks: 8}
  table: {rows: [iv, gradcam, gaussian], seeds: [0], limit: 8}
  """,
  "recommended": """
  image: {size: 64}
  encoder: {depth: 4}
  lora: {blocks: [3], rank: 2}
  side: {width: 16, heads: 2, fusion: [4]}
  perception: {channels: [8, 8]}
  training: {epochs: 2}
  cache: {views: 1}
  evaluation: {steps: 2}
  """,
]

/// Two ranks on any machine, by anybody.
private let anywhere = [
  "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
  "OMPI_MCA_hwloc_base_binding_policy": "none",
]

private let libraries = ["h5py", "numpy", "open_clip", "safetensors", "timm", "torch", "transformers"]
private let hasLibraries: Bool = {
  let find = "import importlib.util as u, sys; sys.exit(not all(u.find_spec(name) for name in sys.argv[1:]))"
  return (try? run("/usr/bin/env", ["python3", "-c", find] + libraries))?.code == 0
}()

/// A folder laid out as an archive's (`scripts/package`), in which `scripts/quickstart` has been run, with what documents
/// call their reader's own: pictures, a pretrained encoder, a settings file.
private struct Workplace {
  private let folder: TemporaryFolder
  private var root: String { folder.path }

  init() throws {
    folder = try TemporaryFolder()
    let files = FileManager.default
    for name in ["configs", "launch", "scripts"] {
      try files.copyItem(atPath: "\(repositoryRoot)/\(name)", toPath: "\(folder.path)/\(name)")
    }
    for (name, overlay) in tiny {
      let path = "\(folder.path)/configs/\(name)"
      try files.moveItem(atPath: "\(path).yaml", toPath: "\(path)-whole.yaml")
      try "extends: \(name)-whole.yaml\n\(overlay)\n".write(toFile: "\(path).yaml", atomically: true, encoding: .utf8)
    }
    for name in ["bin", "home"] {
      try files.createDirectory(atPath: "\(folder.path)/\(name)", withIntermediateDirectories: true)
    }
    try files.createSymbolicLink(atPath: "\(folder.path)/bin/ala", withDestinationPath: builtProgram("ala"))
    let made = try type("scripts/quickstart")
    try #require(made.code == 0, "\(made.errors)")
    let data = "\(root)/runs/quickstart/data"
    try files.copyItem(atPath: "\(data)/images", toPath: "\(root)/pictures")
    let photo = try #require(filesOf("\(data)/images").first { $0.hasSuffix(".png") })
    try files.copyItem(atPath: "\(data)/images/\(photo)", toPath: "\(root)/photo.png")
    try files.createDirectory(atPath: "\(root)/data", withIntermediateDirectories: true)
    try files.copyItem(atPath: "\(data)/encoder.safetensors", toPath: "\(root)/data/clip-vit-b16.safetensors")
    try "extends: configs/quickstart.yaml\nrun: {dir: runs/my}\ncache: {dir: cache/my}\n".write(
      toFile: "\(root)/my.yaml", atomically: true, encoding: .utf8)
  }

  private init(copyOf other: Workplace) throws {
    folder = try TemporaryFolder()
    for name in try FileManager.default.contentsOfDirectory(atPath: other.root) {
      try FileManager.default.copyItem(atPath: "\(other.root)/\(name)", toPath: "\(folder.path)/\(name)")
    }
  }

  private func filesOf(_ path: String) -> [String] {
    (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).sorted()
  }

  private func type(_ text: String, to program: [String] = ["sh", "-euc"]) throws -> ProcessResult {
    let path = "\(root)/bin:\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")"
    let own = ["PATH": path, "HOME": "\(root)/home"]
    return try run(
      "/usr/bin/env", program + [text], in: root, environment: anywhere.merging(own) { $1 },
      seconds: 120)
  }

  /// Runs a document's blocks in their order, in a copy of this folder, up to one that fails.
  ///
  /// - Returns: what is wrong with that one.
  func problem(running document: Document) throws -> String? {
    let place = try Workplace(copyOf: self)
    for block in document.blocks where block.reason == nil {
      if let file = block.file {
        try block.text.write(toFile: "\(place.root)/\(file)", atomically: true, encoding: .utf8)
        continue
      }
      // It has made the folder.
      let isDone = block.text.trimmingCharacters(in: .whitespacesAndNewlines) == "scripts/quickstart"
      guard block.isShell && !isDone || block.isPython else { continue }
      let result = try block.isPython ? place.type(block.text, to: ["python3", "-c"]) : place.type(block.text)
      guard result.code == 0 else {
        return "\(document.path):\(block.line): \(result.code)\n\(block.text)\n\(result.output)\(result.errors)"
      }
    }
    return nil
  }
}

private func isRun(_ block: Block) -> Bool { block.reason == nil && block.file == nil }

/// Documents that have Python to run, between commands that rest on it.
private let withPython = Document.all.filter { $0.blocks.contains { $0.isPython && isRun($0) } }

@Test func everyBlockOfCommandsRunsInItsPlaceOrSaysWhyItDoesNot() throws {
  let workplace = try Workplace()
  let others = Document.all.filter { document in !withPython.contains { $0.path == document.path } }
  for document in others where document.blocks.contains(where: { $0.isShell && isRun($0) }) {
    let problem = try workplace.problem(running: document)
    #expect(problem == nil)
  }
}

@Test(.enabled(if: hasLibraries, "python3 lacks one of \(libraries.joined(separator: ", "))"))
func everyBlockOfPythonRunsBetweenTheCommandsThatItRestsOn() throws {
  let workplace = try Workplace()
  #expect(!withPython.isEmpty)
  for document in withPython {
    let problem = try workplace.problem(running: document)
    #expect(problem == nil)
  }
}

@Test func aCommandThatFailsIsNoticedAndWhatIsMarkedIsNotRun() throws {
  let workplace = try Workplace()
  func problem(_ text: String) throws -> String? {
    try workplace.problem(running: Document(path: "x.md", text: text))
  }
  #expect(try problem("    ala train --config my.yaml --stop-after-steps 1\n") == nil)
  #expect(try problem("a\n\n    ala train --config none.yaml\n")?.hasPrefix("x.md:3: 66\n") == true)
  #expect(try problem("<!-- not run: it has no such file -->\n\n    ala train --config none.yaml\n") == nil)
  let file = "<!-- file: own.yaml -->\n\n    extends: my.yaml\n    trainin: {}\n\nthen\n\n"
  #expect(try problem(file + "    ala config --config own.yaml\n")?.contains("trainin") == true)
}

@Test(arguments: Document.all) func aMarkStandsBeforeWhatItIsOfAndGivesAReason(document: Document) throws {
  for block in document.blocks {
    let place = "\(document.path):\(block.line)"
    if let reason = block.reason {
      #expect(block.isShell || block.isPython, "\(place): what is not run anyway needs no reason")
      #expect(reason.split(separator: " ").count >= 2, "\(place): \(reason)")
    }
    #expect(block.file == nil || !block.isShell, "\(place): a file of commands")
    // A comment may stand there for other ends.
    #expect(block.note?.hasPrefix("not run") != true || block.reason != nil, "\(place): \(block.note ?? "")")
    guard block.isShell else { continue }
    let syntax = try run("/bin/sh", ["-nc", block.text])
    #expect(syntax.code == 0, "\(place): \(syntax.errors)")
    for line in block.commands {
      for script in line.matches(of: /(?:^|[\s(])((?:scripts|launch|Tests)\/[\w\/.-]+)/).map({ String($0.1) }) {
        #expect(isThere(script), "\(place): \(script)")
      }
    }
  }
}

@Test func aBlockKnowsItsNoteItsKindAndItsText() {
  let text = """
    <!-- not run: another host -->

        cache=$(sbatch \\
          launch/slurm)

        ala doctor

    <!-- file: a.yaml -->

    ```yaml
    a: 1
    ```

    words

        h = σ(x)
    """
  let blocks = Document(path: "x.md", text: text).blocks
  #expect(blocks.map(\.reason) == ["another host", nil, nil] && blocks.map(\.file) == [nil, "a.yaml", nil])
  #expect(blocks.map(\.isShell) == [true, false, false] && blocks.map(\.line) == [3, 10, 16])
  #expect(blocks[0].commands == ["    cache=$(sbatch launch/slurm)", "    ala doctor"])
  #expect(blocks[1].text == "a: 1")
}
