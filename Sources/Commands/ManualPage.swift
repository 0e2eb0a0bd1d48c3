import ArgumentParser
import Foundation

/// A command as the parser describes it: what `--help` is made of, too.
struct CommandDescription: Decodable {
  struct Argument: Decodable {
    struct Name: Decodable {
      let kind: String
      let name: String

      var text: String { kind == "long" ? "--\(name)" : "-\(name)" }
    }

    let kind: String
    let shouldDisplay: Bool
    let isOptional: Bool
    let isRepeating: Bool
    let names: [Name]?
    let valueName: String?
    let defaultValue: String?
    let abstract: String?
  }

  let commandName: String
  let abstract: String?
  let discussion: String?
  let subcommands: [CommandDescription]?
  let arguments: [Argument]?

  /// The whole program, by the parser's own words.
  static func ofProgram() throws -> CommandDescription {
    struct Tool: Decodable { let command: CommandDescription }
    return try JSONDecoder().decode(Tool.self, from: Data(Ala._dumpHelp().utf8)).command
  }

  /// But for the parser's own command of help.
  var ownSubcommands: [CommandDescription] { (subcommands ?? []).filter { $0.commandName != "help" } }
}

/// A manual page in `man`'s macros (man(7)), section 1.
struct ManualPage {
  private let command: CommandDescription
  /// `ala-train`; `ala` of the program itself.
  let name: String
  private let version: String

  /// Of every command of a program, itself first.
  static func all(of program: CommandDescription, version: String) -> [ManualPage] {
    let own = ManualPage(command: program, name: program.commandName, version: version)
    return [own]
      + program.ownSubcommands.map {
        ManualPage(command: $0, name: "\(program.commandName)-\($0.commandName)", version: version)
      }
  }

  private init(command: CommandDescription, name: String, version: String) {
    (self.command, self.name, self.version) = (command, name, version)
  }

  private var shown: [CommandDescription.Argument] { (command.arguments ?? []).filter(\.shouldDisplay) }

  var text: String {
    var lines = [
      ".TH \"\(name.uppercased())\" 1 \"\" \"ala \(version)\" \"ala\"", ".SH NAME",
      "\(Self.escaped(name)) \\- \(Self.escaped(command.abstract ?? ""))", ".SH SYNOPSIS",
      ".B \(Self.escaped(name.replacing("-", with: " ")))",
    ]
    lines += [Self.escaped(synopsis), ".SH DESCRIPTION", Self.escaped(command.abstract ?? "")]
    for paragraph in (command.discussion ?? "").components(separatedBy: "\n\n") where !paragraph.isEmpty {
      lines.append(".PP")
      lines += paragraph.components(separatedBy: "\n").flatMap { line in
        line.hasPrefix("  ") ? [".br", Self.escaped(line)] : [Self.escaped(line)]
      }
    }
    if !shown.isEmpty {
      lines.append(".SH OPTIONS")
      lines += shown.flatMap(Self.option)
    }
    if !command.ownSubcommands.isEmpty {
      lines.append(".SH COMMANDS")
      lines += command.ownSubcommands.flatMap { one in
        [".TP", ".BR \(Self.escaped("\(name)-\(one.commandName)")) (1)", Self.escaped(one.abstract ?? "")]
      }
    }
    lines += [
      ".SH \"EXIT STATUS\"",
      "0 done, 64 usage, 65 bad data or file, 66 missing input, 69 unavailable, 70 internal, 73 cannot write,",
      "75 interrupted after a checkpoint (run the same command again), 78 bad configuration.",
    ]
    return lines.joined(separator: "\n") + "\n"
  }

  private var synopsis: String {
    guard command.ownSubcommands.isEmpty else { return "COMMAND [OPTIONS]" }
    return shown.map { one in
      let value = one.kind == "flag" ? "" : one.kind == "positional" ? Self.value(one) : " \(Self.value(one))"
      let text =
        "\(one.kind == "positional" ? "" : one.names?.last?.text ?? "")\(value)\(one.isRepeating ? " ..." : "")"
      return one.isOptional ? "[\(text)]" : text
    }.joined(separator: " ")
  }

  private static func value(_ argument: CommandDescription.Argument) -> String { "<\(argument.valueName ?? "value")>" }

  private static func option(_ one: CommandDescription.Argument) -> [String] {
    let names = (one.names ?? []).map(\.text).joined(separator: ", ")
    let head = one.kind == "positional" ? value(one) : one.kind == "flag" ? names : "\(names) \(value(one))"
    let standard = one.defaultValue.map { " (default: \($0))" } ?? ""
    return [".TP", ".B \(escaped(head))", escaped((one.abstract ?? "") + standard)]
  }

  /// A line that roff takes as it stands: no request, no escape, and hyphens that are minus signs.
  private static func escaped(_ line: String) -> String {
    let text = line.replacing("\\", with: "\\\\").replacing("-", with: "\\-")
    return text.hasPrefix(".") || text.hasPrefix("'") ? "\\&\(text)" : text
  }
}
