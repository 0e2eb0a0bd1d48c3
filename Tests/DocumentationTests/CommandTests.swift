import ArgumentParser
import Commands
import Foundation
import Settings
import TestSupport
import Testing

/// The commands and settings that the documents quote are those of the program.

/// Stands for a placeholder of a synopsis where the parser reads more than a text.
private let samples = ["WORK": "encode", "N": "2", "T": "2"]

/// The arguments of every `ala …` in a synopsis, behind whatever starts it (`mpirun -np 2 ala …`), with all that it
/// offers. A comment, or a file that the output goes to, is none of it.
private func commands(in synopsis: String) -> [[String]] {
  let spaced = synopsis.replacing(/\s[#>]\s.*$/, with: "").replacing(/[\[\]…]/, with: " ")
  return spaced.split(separator: ";").compactMap { arguments(of: $0.split(separator: " ").map(String.init)) }
}

/// The arguments of every `ala …` in a line that is to be typed.
private func commands(typed line: String) -> [[String]] {
  var (all, words, word, quote): ([[String]], [String], String, Character?) = ([], [], "", nil)
  var isComment = false
  func endWord() {
    if !word.isEmpty { words.append(word) }
    word = ""
  }
  func endCommand() {
    endWord()
    all.append(words)
    words = []
  }
  for character in line where !isComment {
    switch character {
    case quote: quote = nil
    case "'" where quote == nil, "\"" where quote == nil: quote = character
    case " " where quote == nil: endWord()
    case ";" where quote == nil, "|" where quote == nil: endCommand()
    case "#" where quote == nil && word.isEmpty: isComment = true
    default: word.append(character)
    }
  }
  endCommand()
  return all.compactMap { arguments(of: $0.prefix { $0 != ">" }.filter { $0 != "…" }) }
}

private func arguments(of words: [String]) -> [String]? {
  if let launched = launched(words) { return launched }
  guard let start = words.firstIndex(where: { $0 == "ala" || $0.hasSuffix("/ala") }),
    // Not the product of a `swift build --product ala`.
    start == 0 || !words[start - 1].hasPrefix("--")
  else { return nil }
  return words[(start + 1)...].map { word in
    // Of alternatives any one will do.
    let word = word.hasPrefix("-") ? word : word.split(separator: "|").first.map(String.init) ?? word
    return samples[word] ?? word
  }
}

/// The arguments of `ala` that a launcher makes of its own: `launch/slurm train my.yaml …`; nil without a launcher.
private func launched(_ words: [String]) -> [String]? {
  guard let start = words.firstIndex(where: { $0.hasPrefix("launch/") }) else { return nil }
  var rest = words[(start + 1)...].prefix { $0 != "--mpirun" }
  if words[start] == "launch/hosts" { rest = rest.dropFirst() }
  guard let use = rest.popFirst(), let config = rest.popFirst() else { return [] }
  if words[start] == "launch/local", rest.first.map({ Int($0) != nil }) == true { rest = rest.dropFirst() }
  return [use == "resume" ? "train" : use, "--config", config] + rest
}

private let commandNames = Ala.configuration.subcommands.compactMap { $0.configuration.commandName }

private func problem(parsing arguments: [String]) -> String? {
  do {
    _ = try Ala.parseAsRoot(arguments)
    return nil
  } catch {
    return Ala.exitCode(for: error).isSuccess ? nil : Ala.message(for: error)
  }
}

@Test(arguments: Document.all) func everyCommandThatADocumentQuotesParses(document: Document) {
  for arguments in document.codeSpans.flatMap(commands(in:)) where !arguments.isEmpty {
    if arguments.count == 1, !arguments[0].hasPrefix("-") {
      // A mention of a command, not a call of it.
      #expect(commandNames.contains(arguments[0]), "\(document.path): ala \(arguments[0])")
    } else {
      let problem = problem(parsing: arguments)
      #expect(problem == nil, "\(document.path): ala \(arguments.joined(separator: " ")): \(problem ?? "")")
    }
  }
  for arguments in document.code.flatMap(commands(typed:)) where !arguments.isEmpty {
    let problem = problem(parsing: arguments)
    #expect(problem == nil, "\(document.path): ala \(arguments.joined(separator: " ")): \(problem ?? "")")
  }
}

@Test func whatIsNoCommandOfTheProgramDoesNotParse() {
  #expect(problem(parsing: ["train", "--config", "c.yaml", "--resume", "never"]) == nil)
  #expect(problem(parsing: ["train", "--confg", "c.yaml"]) != nil)
  #expect(problem(parsing: ["bench", "WORK"]) != nil)
  #expect(commands(in: "ala train --config a.yaml [--quiet]") == [["train", "--config", "a.yaml", "--quiet"]])
  #expect(commands(typed: "mpirun -np 2 ala train --config a.yaml # b") == [["train", "--config", "a.yaml"]])
  #expect(
    commands(typed: "bin/ala table --set 'table.seeds=[0, 1]'; ala config > x.yaml")
      == [["table", "--set", "table.seeds=[0, 1]"], ["config"]])
  #expect(
    commands(typed: "sbatch --ntasks=8 launch/slurm resume a.yaml --quiet --mpirun --x 1")
      == [["train", "--config", "a.yaml", "--quiet"]])
  #expect(commands(typed: "launch/hosts h.txt train a.yaml 4") == [["train", "--config", "a.yaml", "4"]])
  #expect(commands(typed: "launch/local train a.yaml 4") == [["train", "--config", "a.yaml"]])
}

@Test func theReadmeNamesEveryCommand() {
  let quoted = Set(Document(path: "README.md").codeSpans.flatMap(commands(in:)).compactMap(\.first))
  for name in commandNames { #expect(quoted.contains(name), "README.md does not name ala \(name)") }
}

@Test func everyCommandThatOverwritesIsToldOf() throws {
  let overwriting = Set(
    Ala.configuration.subcommands.filter { Ala.helpMessage(for: $0).contains("--overwrite") }
      .compactMap { $0.configuration.commandName })
  let running = Document(path: "docs/running.md").prose.joined(separator: " ")
  let sentence = try #require(running.firstMatch(of: /`--overwrite` of (.+?) replaces the/)?.1)
  #expect(Set(sentence.matches(of: /`([a-z]+)`/).map { String($0.1) }) == overwriting)
  for arguments in Document(path: "README.md").codeSpans.flatMap(commands(in:)) {
    guard arguments.count > 1, let name = arguments.first, commandNames.contains(name) else { continue }
    guard overwriting.contains(name) || arguments.contains("--overwrite") else { continue }
    #expect(arguments.contains("--overwrite") == overwriting.contains(name), "README.md: ala \(name)")
  }
}

/// The examples of `--help`, which the manual pages show, too.
@Test(arguments: Ala.configuration.subcommands.map { $0.configuration.commandName ?? "" })
func everyCommandsHelpHasAnExampleOfItThatParses(name: String) throws {
  let text = try #require(Ala.configuration.subcommands.first { $0.configuration.commandName == name }).configuration
    .discussion
  let examples = text.split(separator: "\n").flatMap { line in
    let line = line.trimmingCharacters(in: .whitespaces)
    return line.hasPrefix("ala ") || line.hasPrefix("mpirun ") || line.hasPrefix("Example: ") ? commands(in: line) : []
  }
  #expect(examples.contains { $0.first == name }, "ala \(name) --help: \(text)")
  for arguments in examples {
    let problem = problem(parsing: arguments)
    #expect(problem == nil, "ala \(name) --help: ala \(arguments.joined(separator: " ")): \(problem ?? "")")
  }
}

/// Issue templates are YAML, which `Document` is not for.
@Test func theIssueTemplatesAskForCommandsOfTheProgram() throws {
  let templates = filesBelow(".github/ISSUE_TEMPLATE").filter { !$0.hasSuffix("config.yml") }
  #expect(!templates.isEmpty)
  for path in templates {
    let text = try String(contentsOfFile: "\(repositoryRoot)/\(path)", encoding: .utf8)
    for span in text.matches(of: /`([^`]+)`/) {
      for arguments in commands(in: String(span.1)) where !arguments.isEmpty {
        let problem = problem(parsing: arguments)
        let isMention = arguments.count == 1 && commandNames.contains(arguments[0])
        #expect(problem == nil || isMention, "\(path): \(span.1): \(problem ?? "")")
      }
    }
  }
  let bug = try String(contentsOfFile: "\(repositoryRoot)/.github/ISSUE_TEMPLATE/bug.yml", encoding: .utf8)
  #expect(bug.contains("`ala doctor --json`") && bug.contains("`ala --version`"))
}

@Test func theCitationAndTheChangelogNameTheProgramsVersion() throws {
  let text = Ala.configuration.version
  let version = try #require(text.firstMatch(of: /^ala ([0-9.]+)/)?.1)
  let citation = try String(contentsOfFile: "\(repositoryRoot)/CITATION.cff", encoding: .utf8)
  #expect(citation.contains("\nversion: \(version)\n"))
  #expect(Document(path: "CHANGELOG.md").headings.contains { $0.hasPrefix("\(version) - ") })
}

@Test(arguments: Document.all) func everySettingThatADocumentNamesExists(document: Document) {
  let paths = SettingTable.keys.map(\.path)
  let sections = Set(paths.compactMap { $0.split(separator: ".").first })
  // A member of a map, such as image.augment.resize, is named by the map's path and its own.
  func exists(_ name: String) -> Bool { paths.contains { name == $0 || name.hasPrefix("\($0).") } }
  // Files are called as sections, too.
  let extensions = ["csv", "html", "json", "md", "safetensors", "tex"]
  let flags = (document.codeSpans + document.code).flatMap { $0.matches(of: /--set '?([^=\s]+)=/).map { String($0.1) } }
  for name in flags where name != "key" { #expect(exists(name), "\(document.path): --set \(name)=") }
  for span in document.codeSpans {
    // Tensors begin with the names of sections, too, but have more parts: only side.position has two.
    guard let match = span.wholeMatch(of: /([a-z]+)\.([a-z_]+)([:= ].*)?/), sections.contains(match.1) else { continue }
    if extensions.contains(String(match.2)) { continue }
    let name = "\(match.1).\(match.2)"
    #expect(exists(name) || name == "side.position", "\(document.path): \(name)")
  }
  for variable in (document.codeSpans + document.code).flatMap({ $0.matches(of: /ALA_([A-Z]+)__([A-Z0-9_]+)/) }) {
    let name = "\(variable.1.lowercased()).\(variable.2.lowercased())"
    #expect(exists(name), "\(document.path): \(variable.0)")
  }
}
