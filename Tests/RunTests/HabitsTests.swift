import Foundation
import TestSupport
import Testing

/// What a command says, to whom, and what it says beforehand.

private func json(_ text: String) throws -> [String: Any] {
  try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
}

/// A program's words on a terminal of so many columns.
private func onTerminal(_ command: String, columns: Int, environment: [String: String] = [:]) throws -> String {
  let line = "stty cols \(columns); \(command)"
  let result = try run(
    "/usr/bin/script", ["-qec", line, "/dev/null"], environment: environment.merging(["TERM": "xterm"]) { $1 })
  return result.output
}

private let hasScript = FileManager.default.isExecutableFile(atPath: "/usr/bin/script")

@Test func aDryRunTellsEverySettingsOriginAndWhatTheRunThenTakes() throws {
  let bench = try TrainingBench(lanes: 4)
  let result = try bench.ala("train", run: "run", ["--set", "training.epochs=2", "--dry-run"])
  #expect(result.code == 0, "\(result.errors)")
  #expect(result.output.contains("  epochs: 2  # --set\n") && result.output.contains("  threads: 1  # --threads\n"))
  #expect(result.output.contains("c.yaml:8\n") && result.output.contains("# default\n"))
  #expect(!FileManager.default.fileExists(atPath: "\(bench.folder.path)/run"))
  // What was printed is a settings file of the same run.
  try result.output.write(toFile: "\(bench.folder.path)/again.yaml", atomically: true, encoding: .utf8)
  let again = try run(bench.program, ["train", "--config", "\(bench.folder.path)/again.yaml", "--quiet"])
  #expect(again.code == 0, "\(again.errors)")
  let steps = try bench.metrics("run").filter { $0["event"] as? String == "step" }
  for phase in ["alpha", "ones"] {
    let bytes = try #require(steps.first { $0["phase"] as? String == phase }?["gradient_bytes"] as? Int)
    #expect(result.output.contains("# phase \(phase): 1 of the epochs; trains \(bytes / 4) parameters"), "\(phase)")
  }
  for words in [
    "# images: 30 train, 6 validate, 36 test; 3 classes", "#   side: ", "# memory: about", "# checkpoints: ",
    "# logs and maps: ",
  ] {
    #expect(result.output.contains(words), "\(words)\n\(result.output)")
  }
  #expect(!result.output.contains("# time of phase"))
  // What is asked for is what is then held, but for what products need meanwhile.
  let log = try String(contentsOfFile: "\(bench.folder.path)/run/log.txt", encoding: .utf8)
  let held = try #require(log.firstMatch(of: /peak memory (\d+) MiB/).flatMap { Double($0.1) })
  let told = try #require(result.output.firstMatch(of: /memory: about ([0-9.]+) MiB a rank/).flatMap { Double($0.1) })
  #expect((0.7 * held...1.4 * held).contains(told), "told \(told), held \(held)")
}

@Test func anEstimateMeasuresForAMomentAtAnyNumberOfRanksAndWritesNothing() throws {
  let bench = try TrainingBench(lanes: 4)
  let cache = ["--set", "cache.dir=\(bench.folder.path)/k"]
  for (command, own) in [
    ("cache", cache), ("train", cache), ("evaluate", ["--checkpoint", "none", "--out", "\(bench.folder.path)/e"]),
  ] {
    let result = try bench.ala(command, ranks: 2, run: "run", own + ["--dry-run", "--estimate"])
    #expect(result.code == 0 && result.output.contains("# time: at most"), "\(command): \(result.errors)")
    #expect(result.errors.contains("none: there is no such checkpoint") == (command == "evaluate"), "\(result.errors)")
  }
  for name in ["run", "k", "e"] { #expect(!FileManager.default.fileExists(atPath: "\(bench.folder.path)/\(name)")) }
  let alone = try bench.ala("train", run: "run", ["--estimate"])
  #expect(alone.code == 64 && alone.errors.contains("--dry-run"), "\(alone.errors)")
}

@Test func aDryRunOfWhatDoesNotFitEndsAsTheRunWouldAndMissingDataIsAWarning() throws {
  let bench = try TrainingBench(lanes: 4)
  #expect(try bench.ala("train", run: "run", ["--set", "lora.blocks=[9]", "--dry-run"]).code == 78)
  let absent = try bench.ala("train", run: "run", ["--set", "data.root=/none", "--dry-run"])
  #expect(absent.code == 0 && absent.errors.contains("the cost is not known: /none"), "\(absent.errors)")
}

@Test func quietSaysNothingVerboseSaysWhatWasSetAndTheLogHasItAll() throws {
  let bench = try TrainingBench(lanes: 4)
  let few = ["--stop-after-steps", "2"]
  let quiet = try bench.ala("train", run: "quiet", few + ["--quiet"])
  #expect(quiet.code == 0 && quiet.errors.isEmpty && quiet.output.isEmpty, "\(quiet.errors)")
  let usual = try bench.ala("train", run: "usual", few)
  let (first, last) = ("writes to \(bench.folder.path)/usual/", "next: the same command goes on")
  #expect(usual.errors.contains(first) && usual.errors.contains(last), "\(usual.errors)")
  let log = try String(contentsOfFile: "\(bench.folder.path)/quiet/log.txt", encoding: .utf8)
  #expect(log.contains("writes to") && log.contains(last))
  let verbose = try bench.ala("train", run: "verbose", few + ["-v"])
  #expect(verbose.errors.contains("setting training.lr: 0.001  (") && verbose.errors.contains("were read in"))
  #expect(try bench.ala("train", run: "both", ["--quiet", "--verbose"]).code == 64)
}

@Test(.enabled(if: hasScript, "script(1) is not there"))
func aNarrowTerminalHasItsProgressOnOneLineAndColoursGiveWay() throws {
  let bench = try TrainingBench(lanes: 4)
  func train(_ name: String, _ environment: [String: String]) throws -> String {
    // Without a cache there is a warning.
    try onTerminal(
      "\(bench.program) train --config \(bench.folder.path)/c.yaml --threads 1 --set run.dir=\(bench.folder.path)/\(name) "
        + "--set cache.dir=\(bench.folder.path)/none", columns: 24, environment: environment)
  }
  let (shown, plain) = (try train("x", ["NO_COLOR": ""]), try train("y", ["NO_COLOR": "1"]))
  #expect(shown.contains("\u{1B}[33mwarning: training live"), "\(shown)")
  #expect(plain.contains("warning: training live") && !plain.contains("\u{1B}[33m"), "\(plain)")
  let progress = shown.components(separatedBy: "\r\u{1B}[K").dropFirst().map { $0.prefix { $0 != "\r" && $0 != "\n" } }
  #expect(progress.contains { $0.hasPrefix("train") || $0.hasPrefix("epoch") }, "\(shown)")
  #expect(progress.filter { $0.hasPrefix("epoch") && $0.contains("/s") }.allSatisfy { $0.count < 24 }, "\(progress)")
}

@Test func whatPeopleScriptSpeaksJSON() throws {
  let bench = try TrainingBench(lanes: 4)
  #expect(try bench.ala("train", run: "run", ["--set", "training.epochs=1"]).code == 0)
  let root = bench.folder.path
  func inspect(_ file: String) throws -> [String: Any] {
    let result = try run(bench.program, ["inspect", file, "--json"])
    #expect(result.code == 0, "\(result.errors)")
    return try json(result.output)
  }
  let checkpoint = try inspect("\(root)/run/checkpoints/last.h5")
  #expect(checkpoint["kind"] as? String == "hdf5")
  #expect((checkpoint["attributes"] as? [String: Any])?["model_sha256"] as? String == (try bench.digest("run")))
  #expect(
    (checkpoint["tensors"] as? [[String: Any]])?.contains { $0["name"] as? String == "/model/side.position" } == true)
  // A run's folder stands for its best checkpoint, whatever follows it.
  let best = try inspect("\(root)/run")
  #expect((best["file"] as? String)?.hasSuffix("/run/checkpoints/best.h5") == true, "\(best["file"] ?? "")")
  #expect(try run(bench.program, ["import", "\(root)/data/images", "--out", "\(root)/imported"]).code == 0)
  let imported = try inspect("\(root)/imported")
  #expect(imported["kind"] as? String == "import")
  #expect((imported["attributes"] as? [String: Any])?["images"] as? Int == 72)
  let none = try run(bench.program, ["inspect", "\(root)/data"])
  #expect(none.code == 65 && none.errors.contains("is a synthetic data set; expected a checkpoint"), "\(none.errors)")
  #expect((try inspect("\(root)/run/split.json")["images"] as? [String: Int]) == ["train": 30, "valid": 6, "test": 36])
  #expect(try inspect("\(root)/data/encoder.safetensors")["kind"] as? String == "safetensors")
  let evaluated = try run(
    bench.program,
    ["evaluate", "--checkpoint", "\(root)/run", "--out", "\(root)/e", "--set", "evaluation.steps=0", "--json", "-q"])
  #expect(evaluated.code == 0, "\(evaluated.errors)")
  let dry = try run(
    bench.program, ["evaluate", "--checkpoint", "\(root)/run", "--out", "\(root)/e", "--json", "--dry-run"])
  #expect(dry.code == 64 && dry.output.isEmpty && dry.errors.contains("--dry-run prints its settings as YAML"))
  let evaluation = try inspect("\(root)/e")
  #expect(evaluation["kind"] as? String == "evaluation")
  #expect(
    (evaluation["attributes"] as? [String: Any])?["accuracy"] as? Double
      == (try json(evaluated.output)["accuracy"] as? Double))
  // So does the file that tells of such a folder, which is no split.
  #expect(try inspect("\(root)/imported/import.json")["kind"] as? String == "import")
  #expect(
    try inspect("\(root)/e/summary.json")["attributes"] as? NSDictionary == evaluation["attributes"] as? NSDictionary)
  let beside = try run("/bin/sh", ["-c", "cd \(root)/imported && \(bench.program) inspect import.json"])
  #expect(beside.code == 0 && beside.output.contains("images: 72\n"), "\(beside.errors)")
  let words = try run(bench.program, ["inspect", "\(root)/e"])
  #expect(words.output.contains("split: test") && words.output.contains("accuracy"), "\(words.output)")
  #expect(try json(evaluated.output)["accuracy"] as? Double != nil)
  // Who is sent a diagnosis sees which program has made it.
  let doctor = try json(try run(bench.program, ["doctor", "--json", "--dir", root]).output)
  let version = try run(bench.program, ["--version"]).output.prefix { $0 != "\n" }
  #expect(doctor["program"] as? String == String(version) && doctor["checks"] as? [Any] != nil, "\(doctor)")
}

@Test func completionsAndManualPagesComeFromTheParser() throws {
  let folder = try TemporaryFolder()
  let made = try run(builtProgram("ala"), ["manual", "--out", "\(folder.path)/share"])
  #expect(made.code == 0, "\(made.errors)")
  let completion = "\(folder.path)/share/bash-completion/completions/ala"
  #expect(try run("/bin/bash", ["-n", completion]).code == 0)
  #expect(try String(contentsOfFile: completion, encoding: .utf8).contains("--follow-links"))
  let page = try String(contentsOfFile: "\(folder.path)/share/man/man1/ala-train.1", encoding: .utf8)
  #expect(page.contains(".SH OPTIONS") && page.contains("\\-\\-stop\\-after\\-steps"), "\(page)")
  #expect(try run(builtProgram("ala"), ["manual", "--out", "\(folder.path)/share"]).code == 0)
}

/// What docs/running.md says of `man` after `ala manual --out ~/.local/share`.
@Test func manFindsThePagesOfAUserWhereTheDocumentSays() throws {
  guard FileManager.default.fileExists(atPath: "/usr/bin/man") else { return }
  let home = try TemporaryFolder()
  let share = "\(home.path)/.local/share"
  #expect(try run(builtProgram("ala"), ["manual", "--out", share]).code == 0)
  func find(_ variables: [String]) throws -> ProcessResult {
    try run("/usr/bin/env", ["-i", "HOME=\(home.path)"] + variables + ["man", "-w", "ala-train"], seconds: 30)
  }
  let page = "\(share)/man/man1/ala-train.1\n"
  #expect(try find(["PATH=/usr/bin:/bin", "MANPATH=:\(share)/man"]).output == page)
  #expect(try find(["PATH=/usr/bin:/bin"]).code != 0)
  try FileManager.default.createDirectory(atPath: "\(home.path)/.local/bin", withIntermediateDirectories: true)
  #expect(try find(["PATH=\(home.path)/.local/bin:/usr/bin:/bin"]).output == page)
}

@Test func aCommandThatIsNotThereIsToldWithTheNearest() throws {
  for arguments in [["trian"], ["trian", "--config", "c.yaml"]] {
    let result = try run(builtProgram("ala"), arguments)
    #expect(result.code == 64 && result.errors.contains("there is no command trian; the nearest is train"))
  }
  let help = try run(builtProgram("ala"), ["help", "trian"])
  #expect(help.code == 64 && help.errors.contains("there is no command trian; the nearest is train"), "\(help)")
  for (arguments, name) in [(["help", "nope"], "nope"), (["version"], "version")] {
    let far = try run(builtProgram("ala"), arguments)
    let words = "there is no command \(name); ala --help lists those that there are"
    #expect(far.code == 64 && far.errors.contains(words), "\(far)")
  }
  let part = try run(builtProgram("ala"), ["eval"])
  #expect(part.errors.contains("there is no command eval; the nearest is evaluate"), "\(part)")
  let near = try run(builtProgram("ala"), ["train", "--confg", "c.yaml"])
  #expect(near.code == 64 && near.errors.contains("Did you mean '--config'?"), "\(near)")
  let option = try run(builtProgram("ala"), ["train", "--json"])
  #expect(option.code == 64 && !option.errors.contains("Did you mean"), "\(option)")
  #expect(option.errors.contains("Unknown option '--json'. --help lists those that there are."), "\(option)")
  for arguments in [["help"], ["help", "train"], ["help", "help"], ["--help"]] {
    #expect(try run(builtProgram("ala"), arguments).code == 0, "\(arguments)")
  }
  for out in [["--out", ""], ["--out="]] {
    for command in ["explain", "evaluate", "synth", "watch", "report", "import", "export", "table", "manual"] {
      let nameless = try run(builtProgram("ala"), [command] + (command == "explain" ? ["x.jpg"] : []) + out)
      #expect(nameless.code == 64 && !nameless.errors.contains("error:"), "\(command): \(nameless)")
    }
  }
}

private let loader = "/usr/share/bash-completion/bash_completion"

@Test(.enabled(if: FileManager.default.fileExists(atPath: loader), "bash-completion is not there"))
func bashFindsTheCompletionsInAUsersFolderAndInOneThatTheEnvironmentNames() throws {
  let folder = try TemporaryFolder()
  #expect(try run(builtProgram("ala"), ["manual", "--out", "\(folder.path)/.local/share"]).code == 0)
  let complete = """
    . \(loader); __load_completion /somewhere/bin/ala || exit
    COMP_WORDS=(ala train --st) COMP_CWORD=2 COMP_LINE='ala train --st' COMP_POINT=14; _ala ala --st train
    echo "${COMPREPLY[@]}"
    """
  for (home, data) in [(folder.path, "/none"), ("/none", "\(folder.path)/.local/share")] {
    let environment = ["HOME": home, "XDG_DATA_DIRS": data, "XDG_DATA_HOME": ""]
    let result = try run("/bin/bash", ["-c", complete], environment: environment)
    #expect(result.output == "--stop-after-steps\n", "\(result.errors)")
  }
}

@Test(arguments: [
  (words: ["train", "--config", "read"], offered: ["readings.yaml"]),
  (["inspect", "read"], ["readings.h5", "readings.yaml"]),
  (["explain", "read"], ["readings.h5", "readings.yaml"]),
  (["evaluate", "--out", "re"], ["results"]),
  (["evaluate", "--method", "grad"], ["gradcam"]),
  (["evaluate", "--split", "v"], ["valid"]),
  (["train", "--set", "training.clip"], ["training.clip="]),
  (["config", "--explain", "attention.k"], ["attention.kernel"]),
  (["bench", "train-a"], ["train-alpha"]),
]) func bashCompletesFilesFoldersAndNamesOfThings(words: [String], offered: [String]) throws {
  let folder = try TemporaryFolder()
  #expect(try run(builtProgram("ala"), ["manual", "--out", "\(folder.path)/share"]).code == 0)
  for name in ["readings.yaml", "readings.h5"] {
    try "".write(toFile: "\(folder.path)/\(name)", atomically: true, encoding: .utf8)
  }
  try FileManager.default.createDirectory(atPath: "\(folder.path)/results", withIntermediateDirectories: false)
  let line = "ala " + words.joined(separator: " ")
  let complete = """
    cd '\(folder.path)'; . share/bash-completion/completions/ala
    COMP_WORDS=(\(line)) COMP_CWORD=\(words.count) COMP_LINE='\(line)' COMP_POINT=\(line.utf8.count)
    _ala ala '\(words.last ?? "")' '\(words.dropLast().last ?? "ala")'; printf '%s\\n' "${COMPREPLY[@]}" | sort
    """
  let result = try run("/bin/bash", ["-c", complete])
  #expect(result.output.split(separator: "\n").map(String.init) == offered, "\(result.output)\(result.errors)")
}
